// Python bindings of the core. Arguments are checked and buffers pinned here, under the GIL; the work runs without it.
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

#include "arguments.hpp"
#include "canvas.hpp"
#include "emit.hpp"
#include "module_grid.hpp"
#include "paint.hpp"
#include "simd.hpp"
#include "style.hpp"
#include "text.hpp"
#include "update.hpp"

namespace nb = nanobind;

namespace {

using teleglyph::Canvas;
using teleglyph::ColorLevel;
using teleglyph::RenderMode;
using teleglyph::Style;

// One canvas to render: everything it needs, kept alive.
class Job {
public:
    Job(nb::object canvas, nb::handle draws, nb::object style)
        : canvas_object_(std::move(canvas)),
          style_object_(std::move(style)),
          canvas_(nb::cast<Canvas&>(canvas_object_)),
          style_(nb::cast<const Style&>(style_object_)),
          draws_(canvas_, draws) {
        canvas_.check(style_);
        if (!style_.is_basic()) return;
        const std::size_t bound = teleglyph::frame_bound(style_, canvas_.columns(), canvas_.rows());
        text_ = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bound));
        if (text_ == nullptr) throw nb::python_error();
    }
    Job(Job&& other) noexcept
        : canvas_object_(std::move(other.canvas_object_)),
          style_object_(std::move(other.style_object_)),
          canvas_(other.canvas_),
          style_(other.style_),
          draws_(std::move(other.draws_)),
          text_(std::exchange(other.text_, nullptr)) {}
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    Job& operator=(Job&&) = delete;
    ~Job() { Py_XDECREF(text_); }

    // Without the GIL.
    void run() {
        if (style_.is_basic()) {
            length_ = canvas_.render(draws_.all(), style_, PyBytes_AS_STRING(text_));
            return;
        }
        teleglyph::CharacterGrid grid(canvas_.columns(), canvas_.rows());
        canvas_.compose(draws_.all(), style_, grid);
        teleglyph::convert_to_terminal(grid, style_);
        teleglyph::paint_all(grid, painted_);
    }

    // With the GIL: the finished text, cut to its length.
    nb::object take_text() {
        if (text_ == nullptr) return nb::bytes(painted_.data(), painted_.length);
        PyObject* text = std::exchange(text_, nullptr);
        if (_PyBytes_Resize(&text, static_cast<Py_ssize_t>(length_)) != 0) throw nb::python_error();
        return nb::steal(text);
    }

private:
    nb::object canvas_object_;
    nb::object style_object_;
    Canvas& canvas_;
    const Style& style_;
    teleglyph::Draws draws_;
    PyObject* text_ = nullptr;
    std::size_t length_ = 0;
    teleglyph::TextBuffer painted_;
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

// A picture scaled to width x height, as RGB24.
nb::object shrink(nb::handle pixels, std::uint32_t width, std::uint32_t height) {
    const teleglyph::PixelBuffer buffer(pixels.ptr());
    const teleglyph::Picture picture = buffer.picture();
    if (width < 1 || height < 1 || width > picture.width || height > picture.height ||
        picture.width > teleglyph::kMaxSourceSide || picture.height > teleglyph::kMaxSourceSide)
        throw nb::value_error("a picture is shrunk to at least one pixel and at most its own size");
    const std::size_t count = static_cast<std::size_t>(width) * height;
    nb::object result = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(3 * count)));
    if (!result.is_valid()) throw nb::python_error();
    auto* out = reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(result.ptr()));
    {
        nb::gil_scoped_release release;
        std::vector<teleglyph::Cell> cells(count);
        teleglyph::AreaScaler scaler;
        scaler.scale(picture, cells.data(), width, width, height);
        for (const teleglyph::Cell cell : cells) {
            *out++ = static_cast<std::uint8_t>(cell);
            *out++ = static_cast<std::uint8_t>(cell >> 8);
            *out++ = static_cast<std::uint8_t>(cell >> 16);
        }
    }
    return result;
}

nb::object scan_text(nb::bytes text) {
    teleglyph::TextScan scan;
    {
        nb::gil_scoped_release release;
        scan = teleglyph::scan_text({text.c_str(), text.size()});
    }
    return nb::make_tuple(scan.drawable, scan.glyphs);
}

nb::object fit_text(nb::bytes text, const std::vector<std::uint32_t>& glyphs, nb::bytes kinds, std::uint32_t columns,
                    std::uint32_t rows) {
    std::vector<teleglyph::GlyphKind> kind_of;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        const auto kind = static_cast<std::uint8_t>(kinds.c_str()[i]);
        if (kind > static_cast<std::uint8_t>(teleglyph::GlyphKind::replaced)) throw nb::value_error("a kind is 0 to 4");
        kind_of.push_back(static_cast<teleglyph::GlyphKind>(kind));
    }
    teleglyph::FittedText fitted;
    {
        nb::gil_scoped_release release;
        fitted = teleglyph::fit_text({text.c_str(), text.size()}, glyphs, kind_of, columns, rows);
    }
    return nb::make_tuple(nb::bytes(fitted.text.data(), fitted.text.size()), fitted.rows, fitted.narrowest);
}

ColorLevel to_color(unsigned value) {
    if (value > 3) throw nb::value_error("a colour level is 0 to 3");
    return static_cast<ColorLevel>(value);
}

RenderMode to_render_mode(unsigned value) {
    if (value >= teleglyph::kRenderModes) throw nb::value_error("a render mode is 0 to 6");
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
    // At exit, daemon threads may still hold grids and canvases. That isn't a leak.
    nb::set_leak_warnings(false);
    module.doc() = "Scaling, glyph choice and escape sequences of the canvas.";

    nb::class_<Style>(module, "Style", "How cells become characters.")
        .def(
            "__init__",
            [](Style* self, unsigned color, unsigned render_mode, const std::vector<std::string>& glyphs,
               bool dithered) { new (self) Style(to_color(color), to_render_mode(render_mode), glyphs, dithered); },
            nb::arg("color"), nb::arg("render"), nb::arg("glyphs"), nb::arg("dithered") = false)
        .def_prop_ro("subcolumns", &Style::subcolumns)
        .def_prop_ro("subrows", &Style::subrows);

    nb::class_<Canvas>(module, "Canvas", "The persistent picture of one view.")
        .def(nb::init<std::int64_t, std::int64_t, std::int64_t, std::int64_t>(), nb::arg("columns"), nb::arg("rows"),
             nb::arg("subcolumns"), nb::arg("subrows"))
        .def_prop_ro("columns", &Canvas::columns)
        .def_prop_ro("rows", &Canvas::rows)
        .def_prop_ro("subcolumns", &Canvas::subcolumns)
        .def_prop_ro("subrows", &Canvas::subrows)
        .def("clear", &Canvas::clear, nb::call_guard<nb::gil_scoped_release>());

    teleglyph::bind_grids(module);

    module.def("render", &render, nb::arg("canvas"), nb::arg("draws"), nb::arg("style"));
    module.def("render_batch", &render_batch, nb::arg("jobs"));
    module.def("shrink", &shrink, nb::arg("pixels"), nb::arg("width"), nb::arg("height"));
    module.def("scan_text", &scan_text, nb::arg("text"));
    module.def("fit_text", &fit_text, nb::arg("text"), nb::arg("glyphs"), nb::arg("kinds"), nb::arg("columns"),
               nb::arg("rows"));
    module.def("retain_large_buffers", &retain_large_buffers);
    module.def("set_simd", &teleglyph::set_simd, nb::arg("enabled"));

    module.attr("MAX_COLUMNS") = teleglyph::kMaxColumns;
    module.attr("MAX_ROWS") = teleglyph::kMaxRows;
    module.attr("MAX_CHARACTERS") = teleglyph::kMaxCharacters;
    module.attr("MAX_SOURCE_SIDE") = teleglyph::kMaxSourceSide;

    // Built now rather than at the first frame that needs them.
    teleglyph::colors_16();
}
