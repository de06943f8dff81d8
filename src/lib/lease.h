/* lease.h - directories that belong to one process while it lives.
 *
 * A lease is a lock on the directory that the kernel drops with its process, however that ends. So
 * a process can remove what others of its user have left behind, and never what they still use, in
 * whatever container they run. All of it blocks. */
#ifndef LIB_LEASE_H
#define LIB_LEASE_H

/* [any thread] Takes the lease of a new directory: a descriptor, to be closed when the directory
 * has been removed; or a negative error: UV_EBUSY when another process has taken it for left
 * behind. */
int lease_take(const char *path);

/* [any thread] Removes the directories in `parent` that are called `prefix` and 16 hexadecimal
 * digits, belong to this user alone and have no lease, with the files in them that are called by a
 * number. What is anything else stays. */
void lease_sweep(const char *parent, const char *prefix);

#endif
