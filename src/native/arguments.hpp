// Arguments from Python, checked and pinned.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "canvas.hpp"

namespace teleglyph {

namespace nb = nanobind;

// A pinned C-contiguous (height, width, 3) buffer of uint8.
class PixelBuffer {
public:
    explicit PixelBuffer(PyObject* source) {
        if (PyObject_GetBuffer(source, &view_, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) throw nb::python_error();
        if (view_.ndim != 3 || view_.shape[2] != 3 || view_.itemsize != 1 || view_.format == nullptr ||
            std::string(view_.format) != "B") {
            PyBuffer_Release(&view_);
            throw nb::value_error("pixels must be C-contiguous uint8 of the shape (height, width, 3)");
        }
    }
    PixelBuffer(PixelBuffer&& other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }
    PixelBuffer(const PixelBuffer&) = delete;
    PixelBuffer& operator=(const PixelBuffer&) = delete;
    PixelBuffer& operator=(PixelBuffer&&) = delete;
    ~PixelBuffer() {
        if (view_.obj != nullptr) PyBuffer_Release(&view_);
    }

    Picture picture() const {
        // Larger sides than 32 bits hold are larger than any limit: clamp them, Canvas::check refuses them.
        const auto side = [](Py_ssize_t size) {
            return static_cast<std::uint32_t>(std::min<Py_ssize_t>(size, INT32_MAX));
        };
        return {static_cast<const std::uint8_t*>(view_.buf), side(view_.shape[1]), side(view_.shape[0])};
    }

private:
    Py_buffer view_;
};

inline std::uint32_t cell_number(PyObject* value) {
    const long long number = PyLong_AsLongLong(value);
    if (number == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
    if (number < 0 || number > UINT32_MAX) throw nb::value_error("a cell coordinate is negative or too large");
    return static_cast<std::uint32_t>(number);
}

// The draws of one canvas, with their pictures kept alive.
class Draws {
public:
    // Each is a tuple (pixels, x, y, width, height) or (pixels, x, y, width, height, mirrored).
    Draws(const Canvas& canvas, nb::handle draws) {
        for (nb::handle draw : nb::borrow<nb::sequence>(draws)) add(canvas, draw);
    }
    Draws(Draws&&) noexcept = default;

    const std::vector<Draw>& all() const noexcept { return draws_; }

private:
    void add(const Canvas& canvas, nb::handle item) {
        const Py_ssize_t size = PyTuple_Check(item.ptr()) ? PyTuple_GET_SIZE(item.ptr()) : 0;
        if (size != 5 && size != 6) throw nb::type_error("a draw is a tuple (pixels, x, y, width, height[, mirrored])");
        const auto field = [&item](Py_ssize_t index) { return PyTuple_GET_ITEM(item.ptr(), index); };
        PixelBuffer buffer(field(0));
        const bool mirrored = size == 6 && PyObject_IsTrue(field(5)) == 1;
        const Draw draw{buffer.picture(),      cell_number(field(1)), cell_number(field(2)),
                        cell_number(field(3)), cell_number(field(4)), mirrored};
        canvas.check(draw);
        buffers_.push_back(std::move(buffer));
        draws_.push_back(draw);
    }

    std::vector<PixelBuffer> buffers_;
    std::vector<Draw> draws_;
};

}  // namespace teleglyph
