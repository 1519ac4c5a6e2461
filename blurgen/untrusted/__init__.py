"""Reading what strangers wrote: files that may lie about their size, nest without end, or point elsewhere.

Each module opens one kind of file by a well-kept library, after a look at what the file asks for. Nothing
is unpickled, nothing outside the file is opened, and no more memory is taken than `bounds` allows.
"""
