import Foundation
import Tunnel

/// Checks the folder of `--unix-directory`.
enum UnixDirectory {
    /// Why a path cannot be the folder; nil if it can.
    static func problem(_ path: String) -> String? {
        guard case .path? = Destination(path) else {
            return "expected the absolute path of a folder, without empty parts, . or .."
        }
        return nil
    }

    /// Whether the folder exists.
    static func exists(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
