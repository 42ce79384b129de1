/* A libnvidia-ml.so.1 without a GPU, for the real nvidia-mig-parted and for nvidia-ml-py.
 *
 * Duties:
 *  - one node's GPUs, all of one model; the model is a table read from $FAKE_NVML_DIR/model (see gpu_model.py);
 *  - the state is shared between processes: a mapped file $FAKE_NVML_DIR/state under flock;
 *  - true placement: an instance takes memory units from one of its profile's starts, overlaps nothing, and stays within the profile's
 *    count, the GPU's compute slices and its media engines; the driver picks the place;
 *  - destroying an instance that is in use, or that still has compute instances, answers NVML_ERROR_IN_USE;
 *  - MIG mode switches at once (as on Hopper and later) and is refused while instances exist;
 *  - every instance created or destroyed is a line in $FAKE_NVML_DIR/log; ids are never used again.
 * Handles are numbers, not addresses: they name a GPU, an instance or a compute instance by position.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { OK = 0, UNINITIALIZED = 1, BAD_ARGUMENT = 2, UNSUPPORTED = 3, MISSING = 6, TOO_SMALL = 7, IN_USE = 19, NO_RESOURCES = 23, FAILURE = 999 };
enum { GPUS = 16, INSTANCES = 8, COMPUTES = 8, PROFILES = 32, STARTS = 12, ENGINES = 4 };

/* ---- the model, read once ------------------------------------------------------------------------------------------- */
struct profile { unsigned number, id, compute, max, mib, size, engines[ENGINES], starts, start[STARTS]; char name[32]; };
static struct { char name[96]; unsigned gpus, pci, mib, compute, units, engines[ENGINES], profiles; struct profile profile[PROFILES]; } model;
static const unsigned compute_sizes[] = {1, 2, 3, 4, 7};   /* by NVML's enum of compute instance profiles that span whole slices */
#define COMPUTE_PROFILES (sizeof compute_sizes / sizeof *compute_sizes)

/* ---- the state, shared ---------------------------------------------------------------------------------------------- */
struct compute { unsigned used, kind; };
struct instance { unsigned used, id, profile, start, busy; struct compute compute[COMPUTES]; };
struct gpu { unsigned mig, created; struct instance instance[INSTANCES]; };
static struct state { unsigned ready; struct gpu gpu[GPUS]; } *state;
static char directory[512];
static int state_file = -1;

/* ---- handles -------------------------------------------------------------------------------------------------------- */
typedef uintptr_t handle;
static handle gpu_handle(unsigned g) { return 0x10000u | g << 8; }
static handle instance_handle(unsigned g, unsigned i) { return 0x20000u | g << 8 | i << 4; }
static handle compute_handle(unsigned g, unsigned i, unsigned c) { return 0x30000u | g << 8 | i << 4 | c; }
static unsigned gpu_of(handle h) { return h >> 8 & 0xff; }
static unsigned kind_of(handle h) { return (unsigned)(h >> 16); }
static struct gpu *gpu_at(handle h) { return &state->gpu[gpu_of(h)]; }
static struct instance *instance_at(handle h) { return &gpu_at(h)->instance[h >> 4 & 0xf]; }
static struct compute *compute_at(handle h) { return &instance_at(h)->compute[h & 0xf]; }

static void lock(void) { flock(state_file, LOCK_EX); }
static int unlock(int result) { flock(state_file, LOCK_UN); return result; }
static int text(char *buffer, unsigned size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = vsnprintf(buffer, size, format, list);
    va_end(list);
    return length < (int)size ? OK : TOO_SMALL;
}
static void record(const char *what, unsigned g, const struct instance *i)
{
    char path[600], line[200];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    text(path, sizeof path, "%s/log", directory);
    text(line, sizeof line, "%ld.%03ld %s gpu=%u id=%u profile=%s start=%u busy=%u\n", (long)now.tv_sec, now.tv_nsec / 1000000, what, g,
         i->id, model.profile[i->profile].name, i->start, i->busy);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file >= 0) {
        if (write(file, line, strlen(line)) < 0) perror("fakenvml log");
        close(file);
    }
}

static int read_model(void)
{
    char path[600], line[400];
    text(path, sizeof path, "%s/model", directory);
    FILE *file = fopen(path, "re");
    if (!file) return FAILURE;
    memset(&model, 0, sizeof model);
    while (fgets(line, sizeof line, file)) {
        struct profile p = {0};
        int used = 0;
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "name ", 5)) text(model.name, sizeof model.name, "%s", line + 5);
        else if (sscanf(line, "gpu %u %x %u %u %u %u %u %u %u", &model.gpus, &model.pci, &model.mib, &model.compute, &model.units,
                        &model.engines[0], &model.engines[1], &model.engines[2], &model.engines[3]) == 9) continue;
        else if (sscanf(line, "profile %31s %u %u %u %u %u %u %u %u %u %u%n", p.name, &p.number, &p.id, &p.compute, &p.max, &p.mib, &p.size,
                        &p.engines[0], &p.engines[1], &p.engines[2], &p.engines[3], &used) == 11 && model.profiles < PROFILES) {
            char *rest = line + used;
            unsigned start;
            int more;
            while (p.starts < STARTS && sscanf(rest, "%u%n", &start, &more) == 1) { p.start[p.starts++] = start; rest += more; }
            model.profile[model.profiles++] = p;
        }
    }
    fclose(file);
    return model.gpus && model.gpus <= GPUS && model.profiles ? OK : FAILURE;
}

/* ---- library -------------------------------------------------------------------------------------------------------- */
EXPORT int nvmlInit_v2(void)
{
    char path[600];
    const char *where = getenv("FAKE_NVML_DIR");
    if (state) return OK;
    if (!where || text(directory, sizeof directory, "%s", where) || read_model()) return FAILURE;
    text(path, sizeof path, "%s/state", directory);
    state_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (state_file < 0) return FAILURE;
    lock();
    if (ftruncate(state_file, sizeof *state)) return unlock(FAILURE);
    void *mapped = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, state_file, 0);
    if (mapped == MAP_FAILED) return unlock(FAILURE);
    state = mapped;
    state->ready = 1;
    return unlock(OK);
}
EXPORT int nvmlInit(void) { return nvmlInit_v2(); }
EXPORT int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
EXPORT int nvmlShutdown(void) { return OK; }
EXPORT const char *nvmlErrorString(int result)
{
    switch (result) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case BAD_ARGUMENT: return "Invalid Argument";
    case UNSUPPORTED: return "Not Supported";
    case MISSING: return "Not Found";
    case TOO_SMALL: return "Insufficient Size";
    case IN_USE: return "In use by another client";
    case NO_RESOURCES: return "Insufficient Resources";
    default: return "Unknown Error";
    }
}
EXPORT int nvmlSystemGetDriverVersion(char *b, unsigned n) { return text(b, n, "580.95.05"); }
EXPORT int nvmlSystemGetNVMLVersion(char *b, unsigned n) { return text(b, n, "13.580.95.05"); }
EXPORT int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 13000; return OK; }
EXPORT int nvmlSystemGetCudaDriverVersion(int *v) { return nvmlSystemGetCudaDriverVersion_v2(v); }

/* ---- GPUs ----------------------------------------------------------------------------------------------------------- */
EXPORT int nvmlDeviceGetCount_v2(unsigned *n) { *n = model.gpus; return state ? OK : UNINITIALIZED; }
EXPORT int nvmlDeviceGetCount(unsigned *n) { return nvmlDeviceGetCount_v2(n); }
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, handle *h)
{
    if (!state) return UNINITIALIZED;
    if (index >= model.gpus) return BAD_ARGUMENT;
    *h = gpu_handle(index);
    return OK;
}
EXPORT int nvmlDeviceGetHandleByIndex(unsigned index, handle *h) { return nvmlDeviceGetHandleByIndex_v2(index, h); }
/* GPU n sits on PCI bus n + 1, in the made-up /sys as well */
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *id, handle *h)
{
    unsigned domain, bus;
    if (sscanf(id, "%x:%x:", &domain, &bus) != 2) return BAD_ARGUMENT;
    if (bus == 0 || bus > model.gpus) return MISSING;
    return nvmlDeviceGetHandleByIndex_v2(bus - 1, h);
}
EXPORT int nvmlDeviceGetHandleByPciBusId(const char *id, handle *h) { return nvmlDeviceGetHandleByPciBusId_v2(id, h); }
EXPORT int nvmlDeviceGetIndex(handle h, unsigned *index) { *index = gpu_of(h); return OK; }
EXPORT int nvmlDeviceGetMinorNumber(handle h, unsigned *minor) { return nvmlDeviceGetIndex(h, minor); }
EXPORT int nvmlDeviceGetName(handle h, char *b, unsigned n)
{
    if (kind_of(h) == 3) return text(b, n, "%s MIG %s", model.name, model.profile[instance_at(h)->profile].name);
    return text(b, n, "%s", model.name);
}
EXPORT int nvmlDeviceGetUUID(handle h, char *b, unsigned n)
{
    if (kind_of(h) == 3) return text(b, n, "MIG-0fa4e000-%04x-4000-8000-%012x", gpu_of(h), instance_at(h)->id);
    return text(b, n, "GPU-0fa4e000-%04x-4000-8000-000000000000", gpu_of(h));
}
EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, handle *found)
{
    char own[96];
    for (unsigned g = 0; g < model.gpus; g++) {
        *found = gpu_handle(g);
        nvmlDeviceGetUUID(*found, own, sizeof own);
        if (!strcmp(uuid, own)) return OK;
        for (unsigned i = 0; i < INSTANCES; i++)
            for (unsigned c = 0; c < COMPUTES; c++) {
                *found = compute_handle(g, i, c);
                nvmlDeviceGetUUID(*found, own, sizeof own);
                if (instance_at(*found)->used && compute_at(*found)->used && !strcmp(uuid, own)) return OK;
            }
    }
    return MISSING;
}
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char name[32]; };
EXPORT int nvmlDeviceGetPciInfo_v3(handle h, struct pci *p)
{
    memset(p, 0, sizeof *p);
    p->bus = gpu_of(h) + 1;
    p->id = model.pci;
    text(p->legacy, sizeof p->legacy, "0000:%02X:00.0", p->bus & 0xff);
    return text(p->name, sizeof p->name, "00000000:%02X:00.0", p->bus & 0xff);
}
EXPORT int nvmlDeviceGetPciInfo_v2(handle h, struct pci *p) { return nvmlDeviceGetPciInfo_v3(h, p); }
EXPORT int nvmlDeviceGetPciInfo(handle h, struct pci *p) { return nvmlDeviceGetPciInfo_v3(h, p); }
EXPORT int nvmlDeviceGetMemoryInfo(handle h, unsigned long long memory[3])   /* total, free, used */
{
    (void)h;
    memory[0] = memory[1] = (unsigned long long)model.mib << 20;
    memory[2] = 0;
    return OK;
}

/* ---- MIG mode and MIG devices --------------------------------------------------------------------------------------- */
EXPORT int nvmlDeviceGetMigMode(handle h, unsigned *current, unsigned *pending)
{
    if (kind_of(h) != 1) return UNSUPPORTED;
    *current = *pending = gpu_at(h)->mig;
    return OK;
}
EXPORT int nvmlDeviceSetMigMode(handle h, unsigned mode, int *activation)
{
    struct gpu *g = gpu_at(h);
    int result = OK;
    lock();
    for (int i = 0; i < INSTANCES; i++) if (g->instance[i].used && mode != g->mig) result = IN_USE;
    if (result == OK) g->mig = mode;
    *activation = result;
    return unlock(result);
}
EXPORT int nvmlDeviceGetMaxMigDeviceCount(handle h, unsigned *n) { *n = kind_of(h) == 1 ? model.compute : 0; return OK; }
EXPORT int nvmlDeviceIsMigDeviceHandle(handle h, unsigned *yes) { *yes = kind_of(h) == 3; return OK; }
EXPORT int nvmlDeviceGetMigDeviceHandleByIndex(handle h, unsigned index, handle *found)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < INSTANCES; i++)
        for (unsigned c = 0; gpu_at(h)->instance[i].used && c < COMPUTES; c++)
            if (gpu_at(h)->instance[i].compute[c].used && seen++ == index) { *found = compute_handle(gpu_of(h), i, c); return OK; }
    return MISSING;
}
EXPORT int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle h, handle *gpu) { *gpu = gpu_handle(gpu_of(h)); return OK; }
EXPORT int nvmlDeviceGetGpuInstanceId(handle h, unsigned *id) { *id = instance_at(h)->id; return OK; }
EXPORT int nvmlDeviceGetComputeInstanceId(handle h, unsigned *id) { *id = h & 0xf; return OK; }

/* ---- GPU instances -------------------------------------------------------------------------------------------------- */
struct instance_profile { unsigned id, p2p, slices, instances, multiprocessors, copy, decoder, encoder, jpeg, ofa; unsigned long long mib; };
EXPORT int nvmlDeviceGetGpuInstanceProfileInfo(handle h, unsigned number, struct instance_profile *o)
{
    (void)h;
    for (unsigned i = 0; i < model.profiles; i++) {
        const struct profile *p = &model.profile[i];
        if (p->number != number) continue;
        *o = (struct instance_profile){p->id, 0, p->compute, p->max, 16 * p->compute, p->compute, p->engines[0], p->engines[1],
                                       p->engines[2], p->engines[3], p->mib};
        return OK;
    }
    return UNSUPPORTED;
}
static int by_id(unsigned id)
{
    for (unsigned i = 0; i < model.profiles; i++) if (model.profile[i].id == id) return (int)i;
    return -1;
}
struct instance_profile_v2 { unsigned version; struct { unsigned number[10]; } same; unsigned long long mib; char name[96]; };
EXPORT int nvmlDeviceGetGpuInstanceProfileInfoV(handle h, unsigned number, struct instance_profile_v2 *o)
{
    struct instance_profile info;
    int result = o->version == (sizeof *o | 2u << 24) ? nvmlDeviceGetGpuInstanceProfileInfo(h, number, &info) : BAD_ARGUMENT;
    if (result != OK) return result;
    memcpy(&o->same, &info, sizeof o->same);
    o->mib = info.mib;
    /* as nvidia-smi prints it */
    return text(o->name, sizeof o->name, "MIG %s", model.profile[by_id(info.id)].name);
}
static int fits(const struct gpu *g, const struct profile *p, unsigned start)
{
    unsigned compute = p->compute, same = 1, engines[ENGINES];
    memcpy(engines, p->engines, sizeof engines);
    for (int i = 0; i < INSTANCES; i++) {
        const struct instance *other = &g->instance[i];
        const struct profile *q = &model.profile[other->profile];
        if (!other->used) continue;
        if (start < other->start + q->size && other->start < start + p->size) return 0;
        compute += q->compute;
        same += q == p;
        for (int e = 0; e < ENGINES; e++) engines[e] += q->engines[e];
    }
    for (int e = 0; e < ENGINES; e++) if (engines[e] > model.engines[e]) return 0;
    return compute <= model.compute && same <= p->max;
}
static int starts_at(const struct profile *p, int start)
{
    for (unsigned i = 0; i < p->starts; i++) if ((int)p->start[i] == start) return 1;
    return 0;
}
/* the driver prefers the far end, which keeps the front free for the large profiles */
static int place(const struct gpu *g, const struct profile *p)
{
    for (int i = (int)p->starts - 1; i >= 0; i--) if (fits(g, p, p->start[i])) return (int)p->start[i];
    return -1;
}
static int create(handle h, unsigned id, int start, handle *made)
{
    struct gpu *g = gpu_at(h);
    int kind = by_id(id);
    if (kind < 0 || !g->mig) return UNSUPPORTED;
    lock();
    const struct profile *p = &model.profile[kind];
    if (start < 0) start = place(g, p);
    else if (!starts_at(p, start) || !fits(g, p, (unsigned)start)) start = -1;
    for (unsigned i = 0; start >= 0 && i < INSTANCES; i++) {
        if (g->instance[i].used) continue;
        g->instance[i] = (struct instance){.used = 1, .id = ++g->created, .profile = (unsigned)kind, .start = (unsigned)start};
        *made = instance_handle(gpu_of(h), i);
        record("create", gpu_of(h), &g->instance[i]);
        return unlock(OK);
    }
    return unlock(NO_RESOURCES);
}
struct placement { unsigned start, size; };
EXPORT int nvmlDeviceCreateGpuInstance(handle h, unsigned id, handle *made) { return create(h, id, -1, made); }
EXPORT int nvmlDeviceCreateGpuInstanceWithPlacement(handle h, unsigned id, const struct placement *p, handle *made) { return create(h, id, (int)p->start, made); }
EXPORT int nvmlGpuInstanceDestroy(handle h)
{
    struct instance *i = instance_at(h);
    lock();
    int result = !i->used ? MISSING : i->busy ? IN_USE : OK;
    for (int c = 0; c < COMPUTES; c++) if (i->compute[c].used) result = IN_USE;
    if (result == OK) { i->used = 0; record("destroy", gpu_of(h), i); }
    return unlock(result);
}
EXPORT int nvmlDeviceGetGpuInstances(handle h, unsigned id, handle *found, unsigned *n)
{
    *n = 0;
    for (unsigned i = 0; i < INSTANCES; i++)
        if (gpu_at(h)->instance[i].used && model.profile[gpu_at(h)->instance[i].profile].id == id) found[(*n)++] = instance_handle(gpu_of(h), i);
    return OK;
}
EXPORT int nvmlDeviceGetGpuInstanceById(handle h, unsigned id, handle *found)
{
    for (unsigned i = 0; i < INSTANCES; i++)
        if (gpu_at(h)->instance[i].used && gpu_at(h)->instance[i].id == id) { *found = instance_handle(gpu_of(h), i); return OK; }
    return MISSING;
}
struct instance_info { handle gpu; unsigned id, profile; struct placement placement; };
EXPORT int nvmlGpuInstanceGetInfo(handle h, struct instance_info *o)
{
    const struct instance *i = instance_at(h);
    const struct profile *p = &model.profile[i->profile];
    *o = (struct instance_info){gpu_handle(gpu_of(h)), i->id, p->id, {i->start, p->size}};
    return OK;
}
EXPORT int nvmlDeviceGetGpuInstancePossiblePlacements_v2(handle h, unsigned id, struct placement *o, unsigned *n)
{
    int kind = by_id(id);
    (void)h;
    if (kind < 0) return UNSUPPORTED;
    *n = model.profile[kind].starts;
    for (unsigned i = 0; o && i < *n; i++) o[i] = (struct placement){model.profile[kind].start[i], model.profile[kind].size};
    return OK;
}
EXPORT int nvmlDeviceGetGpuInstanceRemainingCapacity(handle h, unsigned id, unsigned *n)
{
    struct gpu trial = *gpu_at(h);
    int kind = by_id(id);
    if (kind < 0) return UNSUPPORTED;
    *n = 0;
    for (int i = 0; i < INSTANCES; i++) {
        int start = place(&trial, &model.profile[kind]);
        if (trial.instance[i].used || start < 0) continue;
        trial.instance[i] = (struct instance){.used = 1, .profile = (unsigned)kind, .start = (unsigned)start};
        ++*n;
    }
    return OK;
}

/* ---- compute instances ---------------------------------------------------------------------------------------------- */
struct compute_profile { unsigned id, slices, instances, multiprocessors, copy, decoder, encoder, jpeg, ofa; };
EXPORT int nvmlGpuInstanceGetComputeInstanceProfileInfo(handle h, unsigned number, unsigned engines, struct compute_profile *o)
{
    unsigned have = model.profile[instance_at(h)->profile].compute;
    if (engines || number >= COMPUTE_PROFILES || compute_sizes[number] > have) return UNSUPPORTED;
    *o = (struct compute_profile){.id = number, .slices = compute_sizes[number], .instances = have / compute_sizes[number]};
    return OK;
}
EXPORT int nvmlGpuInstanceCreateComputeInstance(handle h, unsigned number, handle *made)
{
    struct instance *i = instance_at(h);
    unsigned used = 0, slot = COMPUTES;
    if (number >= COMPUTE_PROFILES) return UNSUPPORTED;
    lock();
    for (unsigned c = COMPUTES; c-- > 0;) {
        if (i->compute[c].used) used += compute_sizes[i->compute[c].kind];
        else slot = c;
    }
    if (slot == COMPUTES || used + compute_sizes[number] > model.profile[i->profile].compute) return unlock(NO_RESOURCES);
    i->compute[slot] = (struct compute){1, number};
    *made = h | 0x10000u | slot;
    return unlock(OK);
}
EXPORT int nvmlComputeInstanceDestroy(handle h)
{
    lock();
    if (instance_at(h)->busy) return unlock(IN_USE);
    compute_at(h)->used = 0;
    return unlock(OK);
}
EXPORT int nvmlGpuInstanceGetComputeInstances(handle h, unsigned number, handle *found, unsigned *n)
{
    *n = 0;
    for (unsigned c = 0; c < COMPUTES; c++)
        if (instance_at(h)->compute[c].used && instance_at(h)->compute[c].kind == number) found[(*n)++] = h | 0x10000u | c;
    return OK;
}
struct compute_info { handle gpu, instance; unsigned id, profile; struct placement placement; };
EXPORT int nvmlComputeInstanceGetInfo_v2(handle h, struct compute_info *o)
{
    *o = (struct compute_info){gpu_handle(gpu_of(h)), instance_handle(gpu_of(h), h >> 4 & 0xf), h & 0xf, compute_at(h)->kind,
                               {0, compute_sizes[compute_at(h)->kind]}};
    return OK;
}
EXPORT int nvmlComputeInstanceGetInfo(handle h, struct compute_info *o) { return nvmlComputeInstanceGetInfo_v2(h, o); }
