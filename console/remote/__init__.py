"""SSH to the nodes: the only room (with `demo`) that knows paramiko."""
