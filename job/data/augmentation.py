def augment_pictures(*a, **k):
    raise NotImplementedError


def augment_sequences(*a, **k):
    raise NotImplementedError
