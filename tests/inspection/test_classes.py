import numpy as np

from job.inspection.classes import ClassCounts, class_counts


def test_classes_of_a_split_are_counted_with_their_items():
    classes = np.array([4, 4, 4, 4, 7, 9, 9])
    training = np.array([9, 9, 4, 1])
    # Sizes 4, 1, 2; 4 and 9 are known.
    expected = ClassCounts(
        num_classes=3, least=1, median=2.0, most=4, num_single=1, num_in_training=2
    )
    assert class_counts(classes, training_classes=training) == expected
