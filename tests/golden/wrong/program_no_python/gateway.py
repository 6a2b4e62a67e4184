import pylos

config = pylos.Config(
    listen={"http": pylos.Listen(bind="127.0.0.1:8080")
