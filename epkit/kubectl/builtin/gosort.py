"""Go's ``sort.Sort``: which of two equals comes first is part of what kubectl prints.

Source: ``sort/zsortinterface.go`` (pattern-defeating quicksort). Up to twelve items it is an insertion sort, which
keeps equals in order; above, it does not.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_SMALL = 12


def sort(items: list[T], less: Callable[[T, T], bool]) -> list[T]:
    """A sorted copy, with equals in the places that Go gives them.

    >>> sort([3, 1, 2], lambda a, b: a < b)
    [1, 2, 3]
    """
    data = list(items)
    _Sorter(data, less).sort(0, len(data), len(data).bit_length())
    return data


class _Sorter:
    def __init__(self, data: list[Any], less: Callable[[Any, Any], bool]) -> None:
        self.data = data
        self._less = less

    def less(self, i: int, j: int) -> bool:
        return self._less(self.data[i], self.data[j])

    def swap(self, i: int, j: int) -> None:
        self.data[i], self.data[j] = self.data[j], self.data[i]

    def sort(self, a: int, b: int, limit: int) -> None:
        balanced = partitioned = True
        while True:
            length = b - a
            if length <= _SMALL:
                return self.insertion(a, b)
            if limit == 0:
                return self.heap(a, b)
            if not balanced:
                self.break_patterns(a, b)
                limit -= 1
            pivot, hint = self.choose_pivot(a, b)
            if hint < 0:
                self.reverse(a, b)
                pivot = (b - 1) - (pivot - a)
                hint = 1
            if balanced and partitioned and hint > 0 and self.partial_insertion(a, b):
                return None
            if a > 0 and not self.less(a - 1, pivot):
                a = self.partition_equal(a, b, pivot)
                continue
            middle, partitioned = self.partition(a, b, pivot)
            left, right = middle - a, b - middle
            threshold = length // 8
            if left < right:
                balanced = left >= threshold
                self.sort(a, middle, limit)
                a = middle + 1
            else:
                balanced = right >= threshold
                self.sort(middle + 1, b, limit)
                b = middle

    def insertion(self, a: int, b: int) -> None:
        for i in range(a + 1, b):
            j = i
            while j > a and self.less(j, j - 1):
                self.swap(j, j - 1)
                j -= 1

    def heap(self, a: int, b: int) -> None:
        high = b - a
        for i in range((high - 1) // 2, -1, -1):
            self.sift_down(i, high, a)
        for i in range(high - 1, -1, -1):
            self.swap(a, a + i)
            self.sift_down(0, i, a)

    def sift_down(self, low: int, high: int, first: int) -> None:
        root = low
        while True:
            child = 2 * root + 1
            if child >= high:
                return
            if child + 1 < high and self.less(first + child, first + child + 1):
                child += 1
            if not self.less(first + root, first + child):
                return
            self.swap(first + root, first + child)
            root = child

    def partition(self, a: int, b: int, pivot: int) -> tuple[int, bool]:
        self.swap(a, pivot)
        i, j = a + 1, b - 1
        while i <= j and self.less(i, a):
            i += 1
        while i <= j and not self.less(j, a):
            j -= 1
        if i > j:
            self.swap(j, a)
            return j, True
        self.swap(i, j)
        i, j = i + 1, j - 1
        while True:
            while i <= j and self.less(i, a):
                i += 1
            while i <= j and not self.less(j, a):
                j -= 1
            if i > j:
                break
            self.swap(i, j)
            i, j = i + 1, j - 1
        self.swap(j, a)
        return j, False

    def partition_equal(self, a: int, b: int, pivot: int) -> int:
        self.swap(a, pivot)
        i, j = a + 1, b - 1
        while True:
            while i <= j and not self.less(a, i):
                i += 1
            while i <= j and self.less(a, j):
                j -= 1
            if i > j:
                return i
            self.swap(i, j)
            i, j = i + 1, j - 1

    def partial_insertion(self, a: int, b: int) -> bool:
        i = a + 1
        for _ in range(5):
            while i < b and not self.less(i, i - 1):
                i += 1
            if i == b:
                return True
            if b - a < 50:
                return False
            self.swap(i, i - 1)
            if i - a >= 2:
                for j in range(i - 1, 0, -1):
                    if not self.less(j, j - 1):
                        break
                    self.swap(j, j - 1)
            if b - i >= 2:
                for j in range(i + 1, b):
                    if not self.less(j, j - 1):
                        break
                    self.swap(j, j - 1)
        return False

    def break_patterns(self, a: int, b: int) -> None:
        length = b - a
        if length < 8:
            return
        random = length
        modulus = 1 << length.bit_length()
        index = a + (length // 4) * 2 - 1
        for i in range(3):
            random ^= (random << 13) & 0xFFFFFFFFFFFFFFFF
            random ^= random >> 7
            random ^= (random << 17) & 0xFFFFFFFFFFFFFFFF
            other = random & (modulus - 1)
            if other >= length:
                other -= length
            self.swap(index - 1 + i, a + other)

    def choose_pivot(self, a: int, b: int) -> tuple[int, int]:
        """The pivot, and whether the data looks increasing (1), decreasing (-1) or neither (0)."""
        length = b - a
        swaps = 0

        def order(i: int, j: int) -> tuple[int, int]:
            nonlocal swaps
            if self.less(j, i):
                swaps += 1
                return j, i
            return i, j

        def median(i: int, j: int, k: int) -> int:
            i, j = order(i, j)
            j, k = order(j, k)
            i, j = order(i, j)
            return j

        i, j, k = a + length // 4, a + length // 4 * 2, a + length // 4 * 3
        if length >= 8:
            if length >= 50:
                i, j, k = (median(at - 1, at, at + 1) for at in (i, j, k))
            j = median(i, j, k)
        if swaps == 0:
            return j, 1
        return (j, -1) if swaps == 12 else (j, 0)

    def reverse(self, a: int, b: int) -> None:
        self.data[a:b] = self.data[a:b][::-1]
