"""A linear probe on the frame vectors: how much a video's pictures resemble those that a generator made.

maths.py is pure; teaching.py makes a probe of lessons; lessons.py finds them in the database; shelf.py keeps probes.
"""
