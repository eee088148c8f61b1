"""Results of an adaptive sweep, from its run directories alone, as data.

trials.py      runs grouped to trials: parameters, state, values, learning curve; the ranking; the winner on new seeds
importance.py  which parameters decide whether a trial is among the best
shapes.py      the Pareto front, slices and parallel coordinates
answer.py      the verdict on the winner, and the next command
audit.py       what pruning may have cost
report.py      all of it together
"""
