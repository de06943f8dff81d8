/* stress.h - whether this is the stress build (-DSTRESS=ON).
 *
 * It makes rare courses common, for the same specs: limits that nobody sees are small (limits.h),
 * what grows moves (memory.c), every resume of a fiber collects garbage and woken fibers run in a
 * random order (core/stress.h). What it does is plain code behind `if (STRESS)`, so that each
 * build compiles all of it. */
#ifndef BASE_STRESS_H
#define BASE_STRESS_H

#ifdef PERILUNE_STRESS
enum { STRESS = 1 };
#else
enum { STRESS = 0 };
#endif

/* One number for users and one for the stress build. */
#define STRESSED(usual, stressed) (STRESS ? (stressed) : (usual))

#endif
