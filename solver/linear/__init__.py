"""Relaxations: all that is needed of large instances, and a start for the exact model of the others.

The rules are those of `solver.model`. The relaxation is almost whole by itself: few sites have a value that
is not, and only these are searched for whole numbers. Prices of the rows prove how far every plan is from
better.
"""

from solver.linear.stages import improve as improve
