import re


def split_words(text):
    return re.findall(r"\w+|\S", text.lower())
