"""Arrays as an .npz that opens without pickle; equal arrays give equal bytes.

`numpy.savez` writes the time of day into the file, this does not::

    data = encode_npz({"encoder/lstm/left": array})
    np.load(io.BytesIO(data), allow_pickle=False)["encoder/lstm/left"]
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip file can hold


def encode_npz(arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> bytes:
    """Returns an .npz with one member for each array, in the order given.

    Args:
        arrays: By the keys under which `numpy.load` gives them back; any shape.
        compressed: Whether members are deflated. Other builds of zlib may then make other
            bytes of the same arrays.

    Raises:
        ValueError: An array holds objects, which only pickle could store.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for key, array in arrays.items():
            content = io.BytesIO()
            # `ascontiguousarray` would turn a scalar into a vector.
            npy.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
            member = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            member.create_system = 3  # Unix, wherever it is written
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            archive.writestr(member, content.getvalue(), compresslevel=9)
    return out.getvalue()
