"""The embedded server: Daytona's API for sandboxes on this machine.

The client starts it as a child process. Client and server share only `wire/`, so a maintainer of the
kernel can skip this package, and a maintainer of the server can skip all others.
Each folder imports only from the folders after it:

    __main__, embedded, serve, app, lease   the processes that serve, and the table of all routes
    handlers/   one class per route: reads a request, calls the toolbox, writes the answer
    toolbox/    sandboxes, sessions, terminals, interpreter contexts, files: what the API describes
    box/        a sandbox's directory, isolation and supervisor process, as the server sees them
    guard/      the program beside a box that Landlock isolates
    inside/     the programs that run inside the sandbox. All other folders run outside
"""
