"""What a metric of this process says; tests compare two readings, for other tests count too."""

from punchgate import telemetry


def counted(name: str, **labels: str) -> float:
    """Give the sample of a name as a scraper reads it, `…_total`, `…_count`; 0 before the first."""
    return telemetry.REGISTRY.get_sample_value(name, labels) or 0.0
