#include "module_grid.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "canvas.hpp"
#include "grid.hpp"
#include "paint.hpp"
#include "style.hpp"
#include "update.hpp"

// The caller ensures that no two threads use one grid at the same time.

namespace teleglyph {
namespace {

void require_size(const CharacterGrid& grid, std::uint32_t columns, std::uint32_t rows) {
    if (grid.columns() != columns || grid.rows() != rows) throw nb::value_error("the grids have different sizes");
}

Label to_label(nb::handle item) {
    if (!PyTuple_Check(item.ptr()) || PyTuple_GET_SIZE(item.ptr()) != 5)
        throw nb::type_error("a label is a tuple (x, y, foreground, background, glyphs)");
    const auto field = [&item](Py_ssize_t index) { return PyTuple_GET_ITEM(item.ptr(), index); };
    return {cell_number(field(0)), cell_number(field(1)), cell_number(field(2)), cell_number(field(3)),
            nb::cast<std::vector<std::uint32_t>>(nb::handle(field(4)))};
}

std::vector<Label> to_labels(const CharacterGrid& grid, nb::handle items) {
    std::vector<Label> labels;
    for (nb::handle item : nb::borrow<nb::sequence>(items)) {
        labels.push_back(to_label(item));
        grid.check(labels.back());
    }
    return labels;
}

// One canvas to draw on and to compose into a grid.
class Composition {
public:
    Composition(nb::object grid, nb::object canvas, nb::handle draws, nb::object style, nb::handle labels)
        : objects_{std::move(grid), std::move(canvas), std::move(style)},
          grid_(nb::cast<CharacterGrid&>(objects_[0])),
          canvas_(nb::cast<Canvas&>(objects_[1])),
          style_(nb::cast<const Style&>(objects_[2])),
          draws_(canvas_, draws),
          labels_(to_labels(grid_, labels)) {
        canvas_.check(style_);
        require_size(grid_, canvas_.columns(), canvas_.rows());
    }

    // Without the GIL.
    void run() {
        canvas_.compose(draws_.all(), style_, grid_);
        for (const Label& label : labels_) grid_.put(label);
    }

private:
    std::vector<nb::object> objects_;
    CharacterGrid& grid_;
    Canvas& canvas_;
    const Style& style_;
    Draws draws_;
    std::vector<Label> labels_;
};

void compose_batch(nb::sequence items) {
    std::vector<Composition> compositions;
    for (nb::handle item : items) {
        if (!PyTuple_Check(item.ptr()) || PyTuple_GET_SIZE(item.ptr()) != 5)
            throw nb::type_error("a composition is a tuple (grid, canvas, draws, style, labels)");
        const auto field = [&item](Py_ssize_t index) { return nb::borrow(PyTuple_GET_ITEM(item.ptr(), index)); };
        compositions.emplace_back(field(0), field(1), field(2), field(3), field(4));
    }
    nb::gil_scoped_release release;
    for (Composition& composition : compositions) composition.run();
}

// One update to encode.
struct Encoding {
    std::vector<nb::object> objects;
    const CharacterGrid* wanted;
    CharacterGrid* shown;
    const Style* style;
    UpdateOptions options;
    std::vector<char> out;
    UpdateCounts counts;
};

Encoding to_encoding(nb::handle item) {
    if (!PyTuple_Check(item.ptr()) || PyTuple_GET_SIZE(item.ptr()) != 8)
        throw nb::type_error(
            "an encoding is a tuple (wanted, shown, style, tolerance, whole, previous, refine_begin, refine_end)");
    const auto field = [&item](Py_ssize_t index) { return PyTuple_GET_ITEM(item.ptr(), index); };
    Encoding encoding{};
    for (Py_ssize_t index : {0, 1, 2, 5}) encoding.objects.push_back(nb::borrow(field(index)));
    encoding.wanted = &nb::cast<const CharacterGrid&>(encoding.objects[0]);
    encoding.shown = &nb::cast<CharacterGrid&>(encoding.objects[1]);
    encoding.style = &nb::cast<const Style&>(encoding.objects[2]);
    UpdateOptions& options = encoding.options;
    options.tolerance = static_cast<std::int32_t>(cell_number(field(3)) & 0x7FFFFFFF);
    options.whole = PyObject_IsTrue(field(4)) == 1;
    if (field(5) != Py_None) {
        options.previous = &nb::cast<const CharacterGrid&>(encoding.objects[3]);
        require_size(*options.previous, encoding.wanted->columns(), encoding.wanted->rows());
    }
    options.refine_begin = cell_number(field(6));
    options.refine_end = cell_number(field(7));
    require_size(*encoding.shown, encoding.wanted->columns(), encoding.wanted->rows());
    if (encoding.shown == encoding.wanted) throw nb::value_error("the shown and the wanted grid are one object");
    return encoding;
}

nb::list encode_batch(nb::sequence items) {
    std::vector<Encoding> encodings;
    for (nb::handle item : items) encodings.push_back(to_encoding(item));
    {
        nb::gil_scoped_release release;
        static thread_local UpdateEncoder encoder;  // keeps its memory from tick to tick
        for (Encoding& encoding : encodings)
            encoding.counts =
                encoder.encode(*encoding.wanted, *encoding.shown, *encoding.style, encoding.options, encoding.out);
    }
    nb::list updates;
    for (const Encoding& encoding : encodings)
        updates.append(nb::make_tuple(nb::bytes(encoding.out.data(), encoding.out.size()), encoding.counts.changed,
                                      encoding.counts.inexact));
    return updates;
}

void put_labels(CharacterGrid& grid, nb::handle items) {
    for (const Label& label : to_labels(grid, items)) grid.put(label);
}

void apply_update_bytes(nb::bytes update, bool whole, nb::bytes widths, CharacterGrid& grid) {
    nb::gil_scoped_release release;
    apply_update({update.c_str(), update.size()}, whole, {widths.c_str(), widths.size()}, grid);
}

std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> characters_of(const CharacterGrid& grid) {
    std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> characters;
    for (std::size_t i = 0; i < grid.size(); ++i)
        characters.emplace_back(grid.data()[i].foreground, grid.data()[i].background, grid.data()[i].glyph);
    return characters;
}

// Renders grids as text, and reuses its memory.
class Painter {
public:
    nb::bytes changes(const CharacterGrid& wanted, CharacterGrid& shown) {
        require_size(shown, wanted.columns(), wanted.rows());
        {
            nb::gil_scoped_release release;
            paint_changes(wanted, shown, buffer_);
        }
        return nb::bytes(buffer_.data(), buffer_.length);
    }
    nb::bytes all(const CharacterGrid& grid) {
        {
            nb::gil_scoped_release release;
            paint_all(grid, buffer_);
        }
        return nb::bytes(buffer_.data(), buffer_.length);
    }

private:
    TextBuffer buffer_;
};

}  // namespace

void bind_grids(nb::module_& module) {
    nb::class_<CharacterGrid>(module, "Grid", "A screenful of characters.")
        .def(nb::init<std::int64_t, std::int64_t>(), nb::arg("columns"), nb::arg("rows"))
        .def_prop_ro("columns", &CharacterGrid::columns)
        .def_prop_ro("rows", &CharacterGrid::rows)
        .def("take", &CharacterGrid::take, nb::arg("other"))
        .def("copy", [](const CharacterGrid& grid) { return CharacterGrid(grid); })
        .def("put", &put_labels, nb::arg("labels"))
        .def("to_terminal", &convert_to_terminal, nb::arg("style"))
        .def("characters", &characters_of);

    nb::class_<Painter>(module, "Painter", "Grids as text.")
        .def(nb::init<>())
        .def("changes", &Painter::changes, nb::arg("wanted"), nb::arg("shown"))
        .def("all", &Painter::all, nb::arg("grid"));

    module.def("compose_batch", &compose_batch, nb::arg("compositions"));
    module.def("encode_batch", &encode_batch, nb::arg("encodings"));
    module.def(
        "update_glyphs", [](nb::bytes update) { return update_glyphs({update.c_str(), update.size()}); },
        nb::arg("update"));
    module.def("apply_update", &apply_update_bytes, nb::arg("update"), nb::arg("whole"), nb::arg("widths"),
               nb::arg("grid"));
}

}  // namespace teleglyph
