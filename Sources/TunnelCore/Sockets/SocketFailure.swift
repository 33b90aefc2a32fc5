import NIOCore
import Platform

/// What a system call's failure means to us: the one place that knows the numbers.
package enum SocketFailure {
    case refused
    case unreachable
    case timedOut
    case addressInUse
    case addressMissing
    case familyMissing
    case notPermitted
    case fileMissing
    case outOfDescriptors
    case outOfMemory
    case notSupported
    case other

    package init(_ error: IOError) {
        switch error.errnoCode {
        case ECONNREFUSED: self = .refused
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN: self = .unreachable
        case ETIMEDOUT: self = .timedOut
        case EADDRINUSE: self = .addressInUse
        case EADDRNOTAVAIL: self = .addressMissing
        case EAFNOSUPPORT, EPROTONOSUPPORT: self = .familyMissing
        case EACCES, EPERM: self = .notPermitted
        case ENOENT: self = .fileMissing
        case EMFILE, ENFILE: self = .outOfDescriptors
        case ENOMEM, ENOBUFS: self = .outOfMemory
        case EOPNOTSUPP, ENOPROTOOPT: self = .notSupported
        default: self = .other
        }
    }

    /// Nil for an error that is not the system's.
    package init?(_ error: any Error) {
        guard let error = error as? IOError else { return nil }
        self.init(error)
    }
}
