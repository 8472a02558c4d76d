"""Mutable: how often something happened, over all processes (`metrics.counters` writes it)."""

from django.db import models


class Total(models.Model):
    """One series of one counter; the installation's as a whole.

    series: the counter's name and its labels' values, a tab between each two. value: never falls but to 0, when the
    database server crashed.
    """

    series = models.CharField(max_length=200, primary_key=True)
    value = models.BigIntegerField()

    def __str__(self) -> str:
        return self.series
