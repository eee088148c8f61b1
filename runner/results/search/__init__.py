"""What an adaptive sweep has found, from its run directories alone: data to show or to export.

trials.py      runs to trials: parameters, state, value, learning curve; which trial won, and whether fresh seeds confirm it
importance.py  which parameters decide whether a trial is among the best
shapes.py      the Pareto front, slices and parallel coordinates
export.py      all of it as JSON
"""
