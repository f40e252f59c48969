"""The kernels compiled ahead, as one extension of Python that a wheel carries.

:func:`escala.native.build.build` makes it; :mod:`escala.kernels.jit` takes kernels from it where it was made of the
very sources that are there.
"""
