//! The rules of persistent reservations through a real TCP connection, on the array process.
//!
//! What is due stands in tables and stories that were written from the standards' text; nothing of it is computed. The initiator is made of bytes by
//! hand. Sections are those of the reference that the project is built on (its clauses of SPC-4, SAM-5, SBC-3 and RFC 7143 are named in the tables):
//!
//! | section | covered by |
//! |---|---|
//! | 3.1 transition rules, unregistering; 3.2 PRGENERATION; 3.3 PREEMPT and PREEMPT AND ABORT; REGISTER AND MOVE; REPLACE LOST RESERVATION | each row of `tests/golden/service-actions.tsv`, with PRgeneration and unit attentions of everybody; stories 3.1 to 3.3 |
//! | 3.1 a store that is lost fails closed | `a_damaged_store_fails_closed_over_tcp` |
//! | 3.4 SPEC_I_PT, ALL_TG_PT on two target ports | `service-actions.tsv`; stories 3.4 |
//! | 3.5 APTPL across SIGKILL | stories 3.5, 13.13, 13.14; `resets.tsv` |
//! | 4 PERSISTENT RESERVE IN, byte by byte | stories 4 |
//! | 5 commands and reservations, types and standings; PERSISTENT RESERVE OUT of registrants and strangers | each row of `command-versus-reservation.tsv`; `service-actions.tsv` |
//! | 6 RESERVE and RELEASE of SPC-2, CRH | each row of `legacy-reservation.tsv`; stories 6 |
//! | 7 aborts, resets, nexus loss, logout, reinstatement, power | each row of `resets.tsv`; stories 7 |
//! | 8 unit attentions | `service-actions.tsv`; stories 8 |
//! | 9 CHAP, NOP both ways, reinstatement, login statuses, discovery | `logins` |
//! | 10 REPORT LUNS, REPORT TARGET PORT GROUPS | stories 10 |
//! | 13 corner cases of fencing, 1 to 18 | stories 13.1 to 13.18; 13.14 also `a_damaged_store_fails_closed_over_tcp`; 13.16 `a_full_table_can_still_be_emptied_over_tcp`; 13.17 `a_standby_port_acts_on_the_shared_table_over_tcp` |

mod lab;
mod logins;
mod stories;
mod tables;
