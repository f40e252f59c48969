/* The compiled kernels as an extension of Python, by its limited API: one file for all Pythons from 3.11 on.
 *
 * kernels.h is made by escala.native.build: for each kernel a function that calls the compiled code as numba's code is
 * called, and for each level of processors a table of the kernels. Python chooses a level once.
 */
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>
#include <stdint.h>
#include <string.h>

/* An argument as it is handed on: a number, or an array. */
typedef union {
    int64_t i;
    double d;
    struct { void *data; int64_t size, rows, columns; } a;
} argument;
typedef void (*compiled)(void);
typedef struct {
    const char *name, *module, *within, *doc, *identity;
    int count;
    const char *const *signature; /* "d1r": float64, one axis, only read; "i": an integer */
    void (*call)(compiled, const argument *);
} kernel;

#include "kernels.h"

static const compiled *chosen; /* the kernels of the level in use */

static int has_level(int level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    switch (level) {
        case 2: return __builtin_cpu_supports("x86-64-v2") != 0;
        case 3: return __builtin_cpu_supports("x86-64-v3") != 0;
        case 4: return __builtin_cpu_supports("x86-64-v4") != 0;
    }
#endif
    return 0;
}

static int wrong(const kernel *k, Py_ssize_t place, PyObject *given) {
    const char *code = k->signature[place];
    const char *element = code[0] == 'd' ? "float64" : code[0] == 'i' ? "int64" : code[0] == 'b' ? "int8" : "int32";
    if (code[1] == 0)
        PyErr_Format(PyExc_TypeError, "No matching definition: argument %zd of %s must be %s, not %R", place, k->name,
                     code[0] == 'd' ? "a number" : "an integer", (PyObject *)Py_TYPE(given));
    else {
        int is_array = PyArray_Check(given);
        PyObject *what = is_array ? (PyObject *)PyArray_DESCR((PyArrayObject *)given) : (PyObject *)Py_TYPE(given);
        const char *more = is_array ? ", or one of other axes, order or rights" : "";
        PyErr_Format(PyExc_TypeError,
                     "No matching definition: argument %zd of %s must be a C-contiguous, aligned array of %s with %c "
                     "%s%s, not %R%s", place, k->name, element, code[1], code[1] == '1' ? "axis" : "axes",
                     code[2] ? "" : " that may be written to", what, more);
    }
    return 0;
}

static int is_of(int type, char element) {
    switch (element) {
        case 'd': return type == NPY_DOUBLE;
        case 'i': return type == NPY_INT64 || (type == NPY_LONGLONG && sizeof(npy_longlong) == 8);
        case 'b': return type == NPY_INT8;
        default: return type == NPY_INT32;
    }
}

static int take_number(const kernel *k, Py_ssize_t place, PyObject *given, argument *taken) {
    if (k->signature[place][0] == 'd') {
        taken->d = PyFloat_AsDouble(given);
        if (taken->d != -1.0 || !PyErr_Occurred()) return 1;
    } else {
        taken->i = PyLong_AsLongLong(given);
        if (taken->i != -1 || !PyErr_Occurred()) return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return 0;
    PyErr_Clear();
    return wrong(k, place, given);
}

static int take_array(const kernel *k, Py_ssize_t place, PyObject *given, argument *taken) {
    const char *code = k->signature[place];
    if (!PyArray_Check(given)) return wrong(k, place, given);
    PyArrayObject *array = (PyArrayObject *)given;
    int needed = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | (code[2] ? 0 : NPY_ARRAY_WRITEABLE);
    int axes = code[1] - '0';
    if ((PyArray_FLAGS(array) & needed) != needed || PyArray_NDIM(array) != axes ||
        !is_of(PyArray_TYPE(array), code[0]) || PyArray_ISBYTESWAPPED(array))
        return wrong(k, place, given);
    const npy_intp *shape = PyArray_DIMS(array);
    taken->a.data = PyArray_DATA(array);
    taken->a.rows = shape[0];
    taken->a.columns = axes == 2 ? shape[1] : 1;
    taken->a.size = taken->a.rows * taken->a.columns;
    return 1;
}

static PyObject *call(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    const kernel *k = PyCapsule_GetPointer(self, NULL);
    argument taken[MOST_ARGUMENTS];
    if (count != k->count)
        return PyErr_Format(PyExc_TypeError, "No matching definition: %s takes %d arguments, not %zd", k->name,
                            k->count, count);
    for (Py_ssize_t i = 0; i < count; i++)
        if (!(k->signature[i][1] ? take_array : take_number)(k, i, given[i], &taken[i])) return NULL;
    Py_BEGIN_ALLOW_THREADS
    k->call(chosen[k - KERNELS], taken);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *use(PyObject *self, PyObject *wanted) {
    (void)self;
    for (int i = 0; i < LEVEL_COUNT; i++) {
        PyObject *name = PyUnicode_FromString(LEVELS[i].name);
        int same = name ? PyObject_RichCompareBool(name, wanted, Py_EQ) : -1;
        Py_XDECREF(name);
        if (same < 0) return NULL;
        if (same && has_level(LEVELS[i].level)) {
            chosen = LEVELS[i].kernels;
            Py_RETURN_NONE;
        }
    }
    return PyErr_Format(PyExc_ValueError, "there is no level %R here", wanted);
}

static PyMethodDef KERNEL_METHODS[KERNEL_COUNT];
static PyMethodDef METHODS[] = {
    {"use", use, METH_O, "Use the kernels of one of `levels`, for all calls from now on."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_native", "Compiled kernels.", -1, METHODS, NULL, NULL, NULL, NULL,
};

/* (function, signature, identity) */
static PyObject *described(const kernel *k, PyMethodDef *method) {
    *method = (PyMethodDef){k->within, (PyCFunction)(void (*)(void))call, METH_FASTCALL, k->doc};
    PyObject *self = PyCapsule_New((void *)k, NULL, NULL);
    PyObject *module = PyUnicode_FromString(k->module);
    PyObject *function = self && module ? PyCFunction_NewEx(method, self, module) : NULL;
    Py_XDECREF(self);
    Py_XDECREF(module);
    PyObject *signature = function ? PyTuple_New(k->count) : NULL;
    for (int i = 0; signature && i < k->count; i++) {
        PyObject *code = PyUnicode_FromString(k->signature[i]);
        if (!code) Py_CLEAR(signature);
        else PyTuple_SetItem(signature, i, code);
    }
    PyObject *made = signature ? Py_BuildValue("OOs", function, signature, k->identity) : NULL;
    Py_XDECREF(function);
    Py_XDECREF(signature);
    return made;
}

static int add_kernels(PyObject *module) {
    PyObject *table = PyDict_New();
    for (int i = 0; table && i < KERNEL_COUNT; i++) {
        PyObject *made = described(&KERNELS[i], &KERNEL_METHODS[i]);
        if (!made || PyDict_SetItemString(table, KERNELS[i].name, made)) Py_CLEAR(table);
        Py_XDECREF(made);
    }
    int failed = !table || PyModule_AddObjectRef(module, "kernels", table);
    Py_XDECREF(table);
    return failed;
}

/* The levels that this processor has, the best one last, and in use. */
static int add_levels(PyObject *module) {
    PyObject *levels = PyList_New(0);
    for (int i = 0; levels && i < LEVEL_COUNT; i++) {
        if (!has_level(LEVELS[i].level)) continue;
        PyObject *name = PyUnicode_FromString(LEVELS[i].name);
        if (!name || PyList_Append(levels, name)) Py_CLEAR(levels);
        Py_XDECREF(name);
        chosen = LEVELS[i].kernels;
    }
    PyObject *all = PyTuple_New(LEVEL_COUNT);
    for (int i = 0; all && i < LEVEL_COUNT; i++) {
        PyObject *name = PyUnicode_FromString(LEVELS[i].name);
        if (!name) Py_CLEAR(all);
        else PyTuple_SetItem(all, i, name);
    }
    int failed = !levels || !all || PyModule_AddObjectRef(module, "levels", levels) ||
                 PyModule_AddObjectRef(module, "all_levels", all);
    Py_XDECREF(levels);
    Py_XDECREF(all);
    return failed;
}

PyMODINIT_FUNC PyInit__native(void) {
    import_array();
    PyObject *module = PyModule_Create(&MODULE);
    if (module && (add_kernels(module) || add_levels(module) || PyModule_AddStringConstant(module, "sources", SOURCES) ||
                   PyModule_AddStringConstant(module, "python", PYTHON)))
        Py_CLEAR(module);
    return module;
}
