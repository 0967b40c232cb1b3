"""The operations of Daytona's API, each defined once as an exchange without I/O."""
