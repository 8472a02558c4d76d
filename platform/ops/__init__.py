"""Running the platform: probes, `up`, alerts, demo. Sits on top of everything else."""
