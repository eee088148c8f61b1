"""Published weights: names and addresses, weights.lock, the store on this machine, and the one command that downloads."""
