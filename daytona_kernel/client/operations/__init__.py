"""The operations of Daytona's API, each defined once: arguments in, requests out, result back. No I/O."""
