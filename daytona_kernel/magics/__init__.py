"""The kernel's magics: `%sh` and `%session`, declared in a registry, one file each."""
