"""Generated pictures of circuit boards with six kinds of defect and exact boxes.

dice.py      random numbers that are the same on every machine and in every Python
board.py     where traces, pads and vias lie (a router on a lattice, 45 and 90 degrees)
defects.py   the six defects, drawn into the copper; their boxes come from the pixels that changed
distractors.py  what is no defect: silkscreen, dust, scratches
render.py    masks to a picture: solder mask colour, light, blur, noise
generate.py  image i of a set, and whole sets
"""
