"""The demo fleet: loopback SSH servers, each running the real agent over a simulated NVML."""
