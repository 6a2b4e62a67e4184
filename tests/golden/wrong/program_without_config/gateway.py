import pylos

gateway = pylos.Listen(bind="127.0.0.1:8080")
