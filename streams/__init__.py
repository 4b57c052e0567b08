"""Stream workers: Kafka in, Kafka out. No rule about videos or people lives here."""
