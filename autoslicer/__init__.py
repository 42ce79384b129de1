"""The scheduler-aware autoscaling controller for NVIDIA MIG layouts."""

__version__ = "0.1.0"
