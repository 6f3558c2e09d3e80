import json, os, sys, time, random, subprocess, threading, resource
sys.path.insert(0,"/tmp/wt/sync/tests/http")
import gateway
N=int(os.environ.get("N","1000"))
def rss_call(gw, target):
    env=gw.cgi_env("POST", target, [("X-Admin-Secret",gw.secret)], 0, None)
    r,w=os.pipe()
    t=time.time()
    p=subprocess.Popen([gateway.binary("sync.fcgi")],env=env,stdin=subprocess.DEVNULL,stdout=subprocess.PIPE,stderr=subprocess.DEVNULL)
    out=p.stdout.read()
    _,st,ru=os.wait4(p.pid,0)
    p.returncode=st
    body=json.loads(out.split(b"\r\n\r\n",1)[1])
    print(ru.ru_maxrss/1024,"MiB",time.time()-t,"s",{k:body.get(k) for k in ("uploaded","downloaded","skipped","bytes","durationMs","verified","error","failedCount","failed")})
def test_a(make):
    gw=make({"sync.parallel":8})
    gw.put_ok("u","a",b"x")
    d=gw.sandbox("u")
    rnd=random.Random(1)
    blob=os.urandom(1<<20)
    for i in range(N):
        p="%s/d%03d/%s"%(d,i%200,"n%d"%(i%7)); os.makedirs(p,exist_ok=True)
        f="%s/file-%06d.dat"%(p,i)
        o=rnd.randrange(900000)
        open(f,"wb").write(blob[o:o+ (1<<30)//10000+rnd.randrange(100)]); os.utime(f,(1e9+i,1e9+i+0.123))
    U="/api/super/users/u/sync"
    rss_call(gw,U); rss_call(gw,U); rss_call(gw,U)
    gw.end_sandboxes()
    import shutil; shutil.rmtree(d); shutil.rmtree(gw.path("sandboxes",".run","u"))
    rss_call(gw,U+"?direction=restore")
    rss_call(gw,U+"?direction=restore")
    assert 0
