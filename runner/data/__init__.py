"""Data sets: specs, formats, preparation, checks, statistics, generated boards. Inside the program every data set is
COCO JSON and an image folder.
"""
