"""placeholder"""


class Tuning: ...


def tune(): ...
