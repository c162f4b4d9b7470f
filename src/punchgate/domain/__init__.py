"""The nouns and rules of attendance: standard library only, no I/O, no clock.

Everything here is a frozen value or a pure function. It knows neither bytes (`wire`) nor tables
(`store`).
"""
