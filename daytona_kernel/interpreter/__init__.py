"""The persistent interpreter, seen from outside the sandbox: started, connected to, asked."""
