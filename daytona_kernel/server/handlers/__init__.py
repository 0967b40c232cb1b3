"""The handlers of the API's routes. They run in the server.

A handler reads and checks a request, calls the toolbox, and writes the answer in Daytona's JSON.
"""
