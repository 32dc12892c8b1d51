def augment_pictures(p, *a, **k):
    return p.astype("float32")


def augment_sequences(x, *a, **k):
    return x
