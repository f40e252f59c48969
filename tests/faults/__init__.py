"""Kills, full disks and servers that die."""
