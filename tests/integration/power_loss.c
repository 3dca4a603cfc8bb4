/* What a process asks of the disk, written into a journal: LD_PRELOAD it.
 *
 * POWER_LOSS_ROOT is the folder that is watched, POWER_LOSS_JOURNAL the file of records: a line of
 * a letter and fields, then, for `W` and `A`, so many bytes. Names are hexadecimal; files and
 * folders are told by their inode. tests/integration/power_loss.py says what each record means.
 *
 * A call and its record are one step under a lock, so that records stand in the order of what
 * happened. Memory maps are not seen: SQLite's -shm is one, and is built anew after a power cut.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static char root[PATH_MAX];
static size_t root_length;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void lock(void) { pthread_mutex_lock(&turn); }
static void unlock(void) { pthread_mutex_unlock(&turn); }

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("POWER_LOSS_ROOT"), *path = getenv("POWER_LOSS_JOURNAL");
    if (!folder || !path) return;
    root_length = strlen(strcpy(root, folder));
    journal = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pthread_atfork(lock, unlock, unlock);
}

static void put(const void *data, size_t size) {
    for (const char *at = data; size > 0;) {
        ssize_t done = REAL(write)(journal, at, size);
        if (done < 0) abort();
        at += done, size -= (size_t)done;
    }
}

static void record(const char *format, ...) {
    char line[2 * NAME_MAX * 2 + 200];
    va_list fields;
    va_start(fields, format);
    put(line, (size_t)vsnprintf(line, sizeof line, format, fields));
    va_end(fields);
}

static int watched(const char *path) {
    return journal >= 0 && !strncmp(path, root, root_length) &&
           (path[root_length] == '/' || !path[root_length]);
}

static int watched_fd(int fd) {
    char link[40], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = journal < 0 ? -1 : readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return watched(path);
}

/* A name in a folder; `folder` is 0 for what is not watched. */
struct name {
    ino_t folder;
    char hex[2 * NAME_MAX + 1];
};

static struct name name_of(int at, const char *path) {
    struct name found = {0};
    char full[2 * PATH_MAX], link[40];
    ssize_t length = 0;
    if (journal < 0) return found;
    if (path[0] != '/') {
        if (at == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        if ((length = readlink(link, full, PATH_MAX)) < 0) return found;
        full[length++] = '/';
    }
    snprintf(full + length, sizeof full - (size_t)length, "%s", path);
    for (size_t end = strlen(full); end > 1 && full[end - 1] == '/';) full[--end] = 0;
    char *slash = strrchr(full, '/');
    struct stat about;
    if (!slash || !watched(full)) return found;
    *slash = 0;
    if (stat(full, &about)) return found;
    for (size_t i = 0; slash[1 + i]; i++)
        sprintf(found.hex + 2 * i, "%02x", (unsigned char)slash[1 + i]);
    if (found.hex[0]) found.folder = about.st_ino;
    return found;
}

static ino_t inode(int fd) {
    struct stat about;
    return fstat(fd, &about) ? 0 : about.st_ino;
}

static void wrote(int fd, const void *data, off_t offset, ssize_t size) {
    if (size > 0 && watched_fd(fd)) {
        record("W %lu %ld %ld\n", inode(fd), offset, size);
        put(data, (size_t)size);
    }
}

/* The same for bytes that never passed through a buffer of ours: they are read again. */
static void wrote_unseen(int fd, ssize_t size) {
    char link[40], data[1 << 16];
    if (size <= 0 || !watched_fd(fd)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int again = REAL(open)(link, O_RDONLY | O_CLOEXEC);
    off_t offset = lseek(fd, 0, SEEK_CUR) - size;
    if (again < 0) abort();
    while (size > 0) {
        ssize_t got = pread(again, data, sizeof data, offset);
        if (got <= 0) abort();
        wrote(fd, data, offset, got < size ? got : size);
        offset += got, size -= got;
    }
    close(again);
}

/* One step: under the lock `before` looks, `call` gives `result`, `then` records a success. */
#define STEP(type, before, call, then)       \
    pthread_mutex_lock(&turn);               \
    before;                                  \
    type result = call;                      \
    int error = errno;                       \
    if (result >= 0) {                       \
        then;                                \
    }                                        \
    pthread_mutex_unlock(&turn);             \
    errno = error;                           \
    return result

static int opened(int at, const char *path, int flags, mode_t mode) {
    struct stat about;
    struct name name;
    int made;
    STEP(int, (name = name_of(at, path), made = flags & O_CREAT && fstatat(at, path, &about, 0)),
         REAL(openat)(at, path, flags, mode), {
        if (name.folder && made) record("C %lu %s %lu\n", name.folder, name.hex, inode(result));
        else if (name.folder && flags & O_TRUNC) record("T %lu 0\n", inode(result));
    });
}

#define MODE                                                    \
    mode_t mode = 0;                                            \
    if (flags & (O_CREAT | O_TMPFILE)) {                        \
        va_list more;                                           \
        va_start(more, flags);                                  \
        mode = va_arg(more, mode_t);                            \
        va_end(more);                                           \
    }

int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }

ssize_t write(int fd, const void *data, size_t size) {
    if (fd == STDOUT_FILENO && journal >= 0) { /* first: who reads the line may act on it */
        pthread_mutex_lock(&turn);
        record("A %ld\n", (long)size);
        put(data, size);
        pthread_mutex_unlock(&turn);
        return REAL(write)(fd, data, size);
    }
    STEP(ssize_t, (void)0, REAL(write)(fd, data, size),
         wrote(fd, data, lseek(fd, 0, SEEK_CUR) - result, result));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    STEP(ssize_t, (void)0, REAL(pwrite)(fd, data, size, offset), wrote(fd, data, offset, result));
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
    return pwrite(fd, data, size, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    STEP(ssize_t, (void)0, REAL(writev)(fd, parts, count), wrote_unseen(fd, result));
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    STEP(ssize_t, (void)0, REAL(sendfile)(to, from, offset, size), wrote_unseen(to, result));
}
ssize_t sendfile64(int to, int from, off_t *offset, size_t size) {
    return sendfile(to, from, offset, size);
}
ssize_t copy_file_range(int from, off_t *at, int to, off_t *offset, size_t size, unsigned flags) {
    if (offset && watched_fd(to)) abort(); /* nobody does */
    STEP(ssize_t, (void)0, REAL(copy_file_range)(from, at, to, offset, size, flags),
         wrote_unseen(to, result));
}

int ftruncate(int fd, off_t size) {
    STEP(int, (void)0, REAL(ftruncate)(fd, size),
         if (watched_fd(fd)) record("T %lu %ld\n", inode(fd), size));
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

/* What is watched is not synced: the journal decides what survives, and nobody waits. */
static int synced(int fd, int (*sync)(int)) {
    STEP(int, int is_watched = watched_fd(fd), is_watched ? 0 : sync(fd),
         if (is_watched) record("S %lu\n", inode(fd)));
}
int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

int mkdirat(int at, const char *path, mode_t mode) {
    struct name name;
    struct stat about;
    STEP(int, name = name_of(at, path), REAL(mkdirat)(at, path, mode), {
        if (name.folder && !fstatat(at, path, &about, 0))
            record("D %lu %s %lu\n", name.folder, name.hex, about.st_ino);
    });
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat(int from_at, const char *from, int to_at, const char *to) {
    struct name old, new;
    STEP(int, (old = name_of(from_at, from), new = name_of(to_at, to)), REAL(renameat)(from_at, from, to_at, to), {
        if (new.folder) record("R %lu %s %lu %s\n", old.folder, old.hex, new.folder, new.hex);
    });
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    struct name old, new;
    STEP(int, (old = name_of(from_at, from), new = name_of(to_at, to)), REAL(linkat)(from_at, from, to_at, to, flags), {
        if (new.folder) record("L %lu %s %lu %s\n", old.folder, old.hex, new.folder, new.hex);
    });
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
    struct name name;
    STEP(int, name = name_of(at, path), REAL(unlinkat)(at, path, flags),
         if (name.folder) record("U %lu %s\n", name.folder, name.hex));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
