// Python bindings of grids, updates and painting.
#pragma once

#include <nanobind/nanobind.h>

namespace teleglyph {

void bind_grids(nanobind::module_& module);

}  // namespace teleglyph
