"""The exact model: one CP-SAT program over counts, solved level by level.

For a site with free slices F, GPU classes c (m_c equal GPUs, each holding the multiset o_c) and packings v:

    x_q  pods of class q placed here          0 <= x_q <= fit_q
    z_c  GPUs of class c that change          0 <= z_c <= m_c b
    y_v  changed GPUs that get packing v      sum_v y_v = sum_c z_c, for each geometry
    b    the site changes

    sum_q r_qp x_q <= F_p - sum_c o_cp z_c + sum_v v_p y_v      for every profile p
    sum_q a_qk x_q <= A_k                                       for every other resource k

That slices which stay serve nobody "by reshape", and that every change is needed, holds by itself at the
optimum where one pod is benefit enough: taking a needless change back is better. Where a node asks for more
they are rules of their own, for there a needless change could make pods count (`solver.model.benefit`).
"""

from solver.model.stages import improve as improve
