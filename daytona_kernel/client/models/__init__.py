"""The arguments and results of the client's methods, with the names of Daytona's Process page and SDK."""
