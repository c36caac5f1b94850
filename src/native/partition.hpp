// Divides the parts of a cell between two colours.
#pragma once

#include "cells.hpp"

namespace teleglyph {

struct Partition {
    unsigned mask;    // bit i: part i is shown in `foreground`; never the last part, so that a mask has no mirror image
    Cell foreground;  // mean of the parts in the mask; kTransparent if there are none
    Cell background;  // mean of the others
};

// Of all ways to show four or six parts in two colours the one with the least squared error. Cells whose parts are
// nearly equal get one colour, which costs half the bytes and hides sensor noise.
Partition partition4(const Cell* parts) noexcept;
Partition partition6(const Cell* parts) noexcept;

}  // namespace teleglyph
