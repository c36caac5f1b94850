// Python's view of the core. Arguments are checked and buffers pinned here, under the GIL; the work runs without it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "canvas.hpp"
#include "emit.hpp"
#include "simd.hpp"
#include "style.hpp"
#include "text.hpp"

namespace nb = nanobind;

namespace {

using teleglyph::Canvas;
using teleglyph::ColorLevel;
using teleglyph::Draw;
using teleglyph::Picture;
using teleglyph::RenderMode;
using teleglyph::Style;

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

std::uint32_t cell_number(PyObject* value) {
    const long long number = PyLong_AsLongLong(value);
    if (number == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
    if (number < 0 || number > UINT32_MAX) throw nb::value_error("a cell coordinate is negative or too large");
    return static_cast<std::uint32_t>(number);
}

// One canvas to render: everything it needs, kept alive.
class Job {
public:
    Job(nb::object canvas, nb::handle draws, nb::object style)
        : canvas_object_(std::move(canvas)),
          style_object_(std::move(style)),
          canvas_(nb::cast<Canvas&>(canvas_object_)),
          style_(nb::cast<const Style&>(style_object_)) {
        canvas_.check(style_);
        for (nb::handle draw : nb::borrow<nb::sequence>(draws)) add(draw);
        const std::size_t bound = teleglyph::frame_bound(style_, canvas_.columns(), canvas_.rows());
        text_ = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bound));
        if (text_ == nullptr) throw nb::python_error();
    }
    Job(Job&& other) noexcept
        : canvas_object_(std::move(other.canvas_object_)),
          style_object_(std::move(other.style_object_)),
          canvas_(other.canvas_),
          style_(other.style_),
          buffers_(std::move(other.buffers_)),
          draws_(std::move(other.draws_)),
          text_(std::exchange(other.text_, nullptr)) {}
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    Job& operator=(Job&&) = delete;
    ~Job() { Py_XDECREF(text_); }

    // Without the GIL.
    void run() { length_ = canvas_.render(draws_, style_, PyBytes_AS_STRING(text_)); }

    // With the GIL: the finished text, cut to its length.
    nb::object take_text() {
        PyObject* text = std::exchange(text_, nullptr);
        if (_PyBytes_Resize(&text, static_cast<Py_ssize_t>(length_)) != 0) throw nb::python_error();
        return nb::steal(text);
    }

private:
    void add(nb::handle item) {
        if (!PyTuple_Check(item.ptr()) || PyTuple_GET_SIZE(item.ptr()) != 5)
            throw nb::type_error("a draw is a tuple (pixels, x, y, width, height)");
        const auto field = [&item](Py_ssize_t index) { return PyTuple_GET_ITEM(item.ptr(), index); };
        PixelBuffer buffer(field(0));
        const Draw draw{buffer.picture(), cell_number(field(1)), cell_number(field(2)), cell_number(field(3)),
                        cell_number(field(4))};
        canvas_.check(draw);
        buffers_.push_back(std::move(buffer));
        draws_.push_back(draw);
    }

    nb::object canvas_object_;
    nb::object style_object_;
    Canvas& canvas_;
    const Style& style_;
    std::vector<PixelBuffer> buffers_;
    std::vector<Draw> draws_;
    PyObject* text_ = nullptr;
    std::size_t length_ = 0;
};

nb::object render(nb::object canvas, nb::handle draws, nb::object style) {
    Job job(std::move(canvas), draws, std::move(style));
    {
        nb::gil_scoped_release release;
        job.run();
    }
    return job.take_text();
}

nb::list render_batch(nb::sequence items) {
    std::vector<Job> jobs;
    for (nb::handle item : items) {
        if (!PyTuple_Check(item.ptr()) || PyTuple_GET_SIZE(item.ptr()) != 3)
            throw nb::type_error("a job is a tuple (canvas, draws, style)");
        const auto field = [&item](Py_ssize_t index) { return PyTuple_GET_ITEM(item.ptr(), index); };
        jobs.emplace_back(nb::borrow(field(0)), nb::handle(field(1)), nb::borrow(field(2)));
    }
    {
        nb::gil_scoped_release release;
        for (Job& job : jobs) job.run();
    }
    nb::list texts;
    for (Job& job : jobs) texts.append(job.take_text());
    return texts;
}

nb::object measure_text(nb::bytes text) {
    teleglyph::TextMeasure measure;
    {
        nb::gil_scoped_release release;
        measure = teleglyph::measure_text({text.c_str(), text.size()});
    }
    if (!measure.drawable) return nb::none();
    return nb::make_tuple(measure.rows, measure.narrowest, measure.widest);
}

ColorLevel to_color(unsigned value) {
    if (value > 3) throw nb::value_error("a colour level is 0 to 3");
    return static_cast<ColorLevel>(value);
}

RenderMode to_render_mode(unsigned value) {
    if (value > 2) throw nb::value_error("a render mode is 0 to 2");
    return static_cast<RenderMode>(value);
}

bool retain_large_buffers() {
#if defined(__GLIBC__)
    // Frames of 100 KB and more would otherwise be mapped and unmapped each time, at the price of a page fault for
    // every 4 KiB written.
    constexpr int kMapFrom = 8 << 20;
    constexpr int kTrimFrom = 32 << 20;
    return mallopt(M_MMAP_THRESHOLD, kMapFrom) == 1 && mallopt(M_TRIM_THRESHOLD, kTrimFrom) == 1;
#else
    return false;
#endif
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "Scaling, glyph choice and escape sequences of the canvas.";

    nb::class_<Style>(module, "Style", "How cells become characters.")
        .def(
            "__init__",
            [](Style* self, unsigned color, unsigned render_mode, const std::vector<std::string>& glyphs) {
                new (self) Style(to_color(color), to_render_mode(render_mode), glyphs);
            },
            nb::arg("color"), nb::arg("render"), nb::arg("glyphs"))
        .def_prop_ro("subrows", &Style::subrows);

    nb::class_<Canvas>(module, "Canvas", "The persistent picture of one view.")
        .def(nb::init<std::int64_t, std::int64_t, std::int64_t>(), nb::arg("columns"), nb::arg("rows"),
             nb::arg("subrows"))
        .def_prop_ro("columns", &Canvas::columns)
        .def_prop_ro("rows", &Canvas::rows)
        .def_prop_ro("subrows", &Canvas::subrows)
        .def("clear", &Canvas::clear, nb::call_guard<nb::gil_scoped_release>());

    module.def("render", &render, nb::arg("canvas"), nb::arg("draws"), nb::arg("style"));
    module.def("render_batch", &render_batch, nb::arg("jobs"));
    module.def("measure_text", &measure_text, nb::arg("text"));
    module.def("retain_large_buffers", &retain_large_buffers);
    module.def("set_simd", &teleglyph::set_simd, nb::arg("enabled"));

    module.attr("MAX_COLUMNS") = teleglyph::kMaxColumns;
    module.attr("MAX_ROWS") = teleglyph::kMaxRows;
    module.attr("MAX_CHARACTERS") = teleglyph::kMaxCharacters;
    module.attr("MAX_SOURCE_SIDE") = teleglyph::kMaxSourceSide;

    // Built now rather than at the first frame that needs them.
    teleglyph::colors_16();
}
