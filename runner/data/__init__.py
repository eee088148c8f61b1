"""Data sets: specs, formats, preparing, checking, statistics, generated boards. Inside the program every data set is
COCO JSON and an image folder.
"""
