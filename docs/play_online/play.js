(globalThis.gridmemData ??= {})["site"] = {"ids": {"GridMem-9x9-v0": {"side": 11, "viewSize": 5, "maxSteps": 64, "digSteps": 0, "numSpawns": 64, "firstLevel": 2, "hasAgent": true}, "GridMem-13x13-v0": {"side": 15, "viewSize": 5, "maxSteps": 128, "digSteps": 0, "numSpawns": 64, "firstLevel": 345, "hasAgent": true}, "GridMem-20x20-v0": {"side": 22, "viewSize": 5, "maxSteps": 256, "digSteps": 0, "numSpawns": 64, "firstLevel": 3, "hasAgent": true}, "GridMem-v0": {"side": 42, "viewSize": 5, "maxSteps": 512, "digSteps": 0, "numSpawns": 64, "firstLevel": 0, "hasAgent": false}, "GridMem-Dig-v0": {"side": 42, "viewSize": 5, "maxSteps": 512, "digSteps": 5, "numSpawns": 64, "firstLevel": 0, "hasAgent": true}, "GridMem-DigLarge-v0": {"side": 82, "viewSize": 11, "maxSteps": 512, "digSteps": 5, "numSpawns": 64, "firstLevel": 0, "hasAgent": false}}, "sprites": "iVBORw0KGgoAAAANSUhEUgAAAQAAAAB4CAYAAAAddCx+AAARwElEQVR4nO1dT+hU1RefdYsIFxERP8ygVRKJLRQX9g3ClfyKaGUtwp0QYitbhIuI+LlIw0qyVIgIKqLExMhCigoiighDohaCSLWKaNFufp7n90znnTn3/31z7rw5B05v3j3v8869d87nc++b+U5Orv7yzTTXL39/YfrGq8ey/eUXD3fHzz/5oHON/L9e+iLbIf/xl45kO+SH46fn3u1cI/9vV37Idsh/6rXj2Q754fjVxXOda+S/cvnLbIf8J44dzXbID8eL59/rXCP/xATABMAEwAQgWwCQvDl+/sO3qghASf5SAUDy5jjkryEAJflLBQDJm+OQv4YAlOQvFQAkb45D/hoCUJLfBMAEIOifnXm9SADePP6/IgHw5Y8RAF9+E4BCAajxCFFLAHLwpQJQ4xGilgDk4HPJjwQsxYcEYGh8qQDUeISoJQA5eBMAEwATABMAEwATgDTyxAhADN5H4EXgTQBMAEwAHOQtEYBYvIvAi8KbAJgAmAB4Vs6cR4AUvETgReJjiHLmoxeKBMCHjyHwkHgTABOA4LbZ9yl8KZ4TeNH42NUSSUTJVAMfu4IPhTcBMAHI9hr4mn8HkIOPJfArJ/bPraQ18LEEHgpvAmACYAIQsXICgcBTBSCEDxF4aLwJgAmACUDE6s3Jk7ID8OFjVvAh8SYAJgAmAJlu3wKYAJgAmAAstwDAfzQdfpEEf5MMroHXdhu/jV9z/JOt2x6elvhzR84WeUnuzfc9pJp/DOPfs/d51fGX5Lfxl4+/WAA0HSZAE6/tNcZfSgBNfGn/bfwPzQuANqlS8NK1i8SPYfy8gFL7r4kv7b+NXxCAZXJtsmq77QBsB1B9B+DyHWuPFxXcEPiU+w2BH8P4YwvI1X9NfGn/bfyRAgAXwg1ii21R+FgCDIUfw/hjCsjXf018af9t/OsCoL2VzsUjTgs/hvFDAZX0XxNf2n8bf+QOoGT1GhIfO/Ch8GMYf8wK4uu/Jr60/zb+RAHILeSh8KkEqI0fw/hTCkjqvya+tP82fvsWoPgPKZbdV/1TcO351/agALT46XeKAITwUEDoa7v29s65jzVe8v5p4mMEwN5/f3zldwDab0AL8ZI51MTX+jsA7fk3AVAUAJiUVfZVFwDt+df2qEeAkjd4SHzsI0CogFpSZI14yfuniY99BLD33x1f+R2A9hvQQrxkDjXxtR8BWn1/TAAGFIA779q60r7qAqA9/9o+Wbtn47TE8f+usyic5bf8lr9e/p4AfH18X9BP7981d6NcPO+45bf8ln+x+ScuMFzoc64ohje84ZcPP+Fg6eI9O+6ea3v20fvF5GPBS5hVwod81fB8PseC7wlALNjVgTHhcwg0JnwOgcaMjyHgMuJnAuADxhBobHgXbsz4EGbseF8NjRXvFYCSAhwD3nePMeMlDCfXmPExPhZ8UABKCtDwy42n91k1/DLu4HLwwUeAZX0DaxSA755jx4eKaMx4xOQScJnwogBob8E08a6iCX0IMxZ8aB7HjMe5o7gUAVlG/ES6gWvSKLjkQ5hW8SHH+68SXprTVcJLJBoTvhOAmOLxdcDw48aHCtDwy4tPFgAE5xag4ZcPzx+dVg2vPf9D4if0JtAYAtHE1A1veMMvH773YyB+oculDuTi6Y8ZUvH8l1A5eBu/jX+Vx1/8c+BSL/05o/bPMW38Nv5lHv/EzMzMrG8bt0xFN3yU7bh9MpXc8JF2fYUS3fBJtn3TTVPweMR6oR86f3nOJwfOhInQCB6uFe8xcH4s9D/ePzTnl54IE6EVPFwr3WPo/Fjoh777eM4nJ58OE6ERPFwr3mPo/MSA+NOfnuw8TgR8hc9dIkEDeOlapxBUzu8rfO4SCVrAS9e6hKB2fm/hc5dI0ABeutYpBLXzE6Pkv3Zq0nlYBAgBnFtgJFkEgUTiJAhADt6HSRWA1PyUAK4tMJIshkAScVIEIAfvw6QKQGp+SgDnFhhJFkEgkTgJApCD92FSBSA5/7pR8oOhAPhFgBc/FPjug/NOSUZJIJCHmnQewged4WNyOkWgMD8vfjg/unPeKckoCSTyUJPOQ/iQc3xMTpcIlOafK34o8H27552SjJJAIE/vvRfOQ/igM3xMTqcIlOZ3kJ/uAMDPPuUSAbr6Y3FnCgDG0W7ZcId4LuFFoXC0SQIA96bX8XMqAqH+5woAFneuAGCczpd0LuEl0rraJAGg8yWdUxEI9T9XAGbFnSkAGO/Vm3Au4UWhcLRJAtCrN+GcikCo/6kCIJGfC4BbBAgBex92xT4GcHzDAoAiEOp/jgDQ4k55DOD4lgUARSDU/xwB6BV3ymMAxzcsACgCof6nCICL/C4BmBcB/vycsQPgBOlNeIQAUBxcM7tuncg4mTUEwNt/KnL8esf4+fNzzg6AE4TOV4wAUBzOF7bR+ashAL78VOT49a7xzz0/Z+wAOEFSBYDiZvW33tarvwoC4O0/FTl+vWP8PQFgPowA4GuPAHjdg48SAAkPbZkreJDwPM7ypwoAvvYJgM99+BgBkPDQlruChwjP4zx/sgDga48AeN2DjxIACQ9tmSt4kPA8zvOviwAnOyc9+n/u2PrfSc8aEoBsfG0BSMjfkgDk4msLQEr+lgQgG19bAFLye0SAEh/iQH50twDQFVB6/i8hMBWTmnhsH1oAhPy+FVB6/i8hMBWTmnhsH1oApPzeFVB6/i8hMBWTmnhsH1oApPweEQiTP4UEEvlawseKwAD5Y0ggFn9D+FgRGCJ/FAl8xd8CPlYEhshPjIpAHPnBXNt+x6PA3I0U8d3rRHzt8bu2/a5HgZbw8DoVz6evtP/Obb/jUaAlfPc6ET9Xf6X9Z4YiQMnvu36eRHzrz4qf31ATPztPwA8xfkoCvvXnxd8SHs9T8NL8lfa/RwK+9WfF3xJ+dp6AF+uvoP+SRZO/14n1gqdbBqm9NbzrOql9yPFjwXM8b28N77pOavfNX2n/seDn5p+1t4Z3XSe1++avpP9mZmYrZjffuv1kiYs33bbp3qnksZ1adfxtWx6YSm74OHtw54ap5Iaft6oCgIV+7cKPc/7twbeDRGgFD9dK9xg6Pxb6Oz//PeePnf09SIRW8HCtdI+h82Oh//PX6Tn/8+pakEit4OFa6R5D5K8mAL7C5y6RoAW8dK1LCGrn9xU+d4kELeCla11CUDu/r/C5SyRqAS9d6xKCWvkHEQDXFhhJFkMgiTgpApCD92FSBSA1PyWAawuMJIshkEScFAHIwfswqQKQmp8SwLUFRpLFEEgiTooA5OB9mFQBiM1fRQB48cP54UcOzDklGSWBRB5q0nkIH3KOj8npEoHS/Lz44Xz7MyfnnJKMkkAiDzXpPIQPOcfH5HSJQGl+Xvxw/uaJzXNOSUZJIJGHmnQewoec42NyukSgJH91AcDizhUAjKPBjyikcwkvkdbVJgkA/fWVdE5FINT/XAHA4s4VAIzT+ZLOJbxEWlebJAB0vqRzKgKh/ucKABZ3rgBgnM6XdC7hJdK62iQBoPMlnVMRCPVfRQBocac8BnB8ywKAIhDqf44A0OJOeQzg+JYFAEUg1P8cAaDFnfIYwPEtCwCKQKj/CxcAXtypOwBOEDrhMQJAcfjzS2yjP8esIQC+/FTk+PWu8fPn55wdACcIJzw/d+Hp/GEbnb8aAuDLT0WOX+8aP39+ztkBcIKkCgDF4XxhG52/GgLgy09Fjl8vjV9FAPC1TwB87sPHCICEh7bcFTxEeB7n+VMFAF/7BMDnPnyMAEh4aMtdwUOE53GeP1UA8LVPAHzuw8cIgISHtpwV3NV/vttx9X90ApCLry0AKflbEoBcfG0BSMnfkgDk4msLQGz+QQSAroDS838JgamY1MRj+9ACIOX3rYDS838JgamY1MRj+9ACIOX3rYDS838JgamY1MRj+9ACwPNX/TuAnOJvCR8rAkPkjyGBVPwt4WNFYIj8MSSQyNcSPlYEauavKgDStt/1KMB/kaSJh9epeP4GlPbfte13PQq0hIfXqXg+f6X9d237XY8CLeHhdSqez19u/moCwEnEt/68+PkEauLxPAXP34Aa/ack4Ft/Xvwt4fE8BS/NX2n/KQn41p8Xf0t4PE/BS/OXk7+aAFAS0CKn5HIVfwt413VSu5S7Vv+x4Dmet7eGd10ntfvmr7T/WPAcz9tbw7uuk9p985eav1gArv7yzdTll7+/MH3j1WNOf/nFw93x808+yMb/eukLpwP++EtHnA54OH567t1s/G9XfnA64E+9dtzpgIfjVxfPZeOvXP7S6YA/ceyo0wEPx4vn38vGu4rRbEUsJABAbpef//CtKAHw4UMCAOR2OeBjBMCHDwkAkNvlgI8RAB8+JABAbpcDPkYAfHjt+jNTtpAAxOwQYgTAFQ8JQMwOIUYAXHFO2s/OvN4jcCjOBSA1HhKAmB1CjAC44tr1Z6ZsJgAyuSUBkOKU4DlxEwAzVTMB6BPctwOQ4pzgqXGJmGc+esErADQuETwlrl1/ZspmAuD/DCDmQ8KYzwBccYncr5zY7xQAHucET41r15+ZspkAtCUA9ghgtlCDIihx+CoJPk3OjVt+3fza9WembFu3PTz1+XNHznrdh91830NF+EXk37P3+aL8Pvwy5NeuPzNlCxGwxKEAS+KLyB8iYEk8dP8W8mvXn5myYTHsWHvcW2g5cUrAnPgi8iNBXPcviYfu30J+7fozUzYfqUrddgC2AzBr3HB18JElN45tvnjoGXVoB4L4xlcSRwK2PH7t+jNTNmm1rLWdp22uOBAEfW3XXpVz3/hK4nQFbnX82vVnpmy+7WWpx27BWxAAly/iEcAEwEzNtAXgzru2qrq2AGiPX7v+zJRt7Z6NU5/DX+zlxAy/HHjt+jNTNiyGr4/v6/z0/l2d82Kx+Djj2vVnpmxYHFgYe3bc3R2fffT+XvEsIo4xrTj1VYlr15+ZsrVGQE0B0o5rzL92/Zkp26oToJU4xlzzM1Rcu/7MlE3aIkJx+LaQY44DQTTjix6/dv2ZKRsWCS0MWjwWH3dcu/7MlI0XSqqHvmYq/RrL8g+bX7v+zFqxjVumPW8svuP2yZR6a/EJrKbUW4tft+2bbpqCSzGzVbbrhDt0/nLnkwNnbjglYYU4ts+uS8AD4f54/1Dnl56YdE5JWCOO7XhdCh4Id+i7jzufnHz6hlMSVohj++y6FPzkBvmnPz05vXZqYiJgRmydfDPiUV9fjTEORo887sJL2JkIBPBIPiQedVyNMQ5GjzzuwktYFIEQHsk3Ix719dUY493YyZHHXXgJOxOBEH7yL/nBQABMBMz+NVyddx/sOyMw+C0b7ugdJYJLAiFihfu7BADIdnRn3zmBweHe9CgRXBIICSvd3yUAHdn27e47IzB4N3ZylAguCYSIFe4vCQAlP+4AwM8+ZSJgBpYgAL4VnhJbEohcfIoA+FZ4SmxJIHLxKQLgW+EpsSWByMXTrT8lvwmA2Q2rJABDxWsJwFDxWgIwWHxy4xFAIr/vX6o1WyUDEnIB4B/iKcaBaFwA+Id0mvGOaFwA+Id4mvHJvyJg5Debs64YrhNu9m+Pr79uKQ6Ewzi+bikOhJv1f/11K3E0/BrQyG82Z9s23Tul3lr8ti0PTKm3Fn9w54Yp9VbiN9+6/aTP+X3MVtCAcNcu/Nj5twff7pySsEYc2/G6FDwQ7p2f/+78sbO/d05JWCOO7XhdCh4I989fpzv/8+pa55SENeLYjtfF4k0AzLyG5EPiUcfVGONg9MjjLryERREI4ZF8SDzquBpjHIweedyFl7AoAiE8kg+JRx1XY4yD0SOPu/ASFkUghDcBMPMaEvTwIwd6zgkMDl8v0aNEcEkgJKx0f5cAANm2P3Oy55zA4HBvepQILgmEhJXu7xIAINubJzb3nBMYHO5NjxLBJYGQsNL9TQDMki1FAHwrPCW2JBC5+BQB8K3wlNiSQOTiUwTAt8JTYksCkYs3ATDzWi0BGCpeSwCGitcSgKHiJgBmQQOicQHgH9JpxoFoXAD4h3SacSAaFwD+IZ1W3ATALGjwvTAQDr9HxtctxYFwGMfXLcWBcBjH1y3ETQDMfPZ/4RMLtjDG9TkAAAAASUVORK5CYII=", "font": "AAEAAAAKAIAAAwAgT1MvMkUAQVIAAAEoAAAAYGNtYXAADADRAAACTAAAADRnbHlmdB8ZhwAAA0QAACceaGVhZGEJQ5wAAACsAAAANmhoZWEF3gH2AAAA5AAAACRobXR4AlgAAAAAAYgAAADCbG9jYdDSxyMAAAKAAAAAwm1heHAAcQBCAAABCAAAACBuYW1lTzdmygAAKmQAAABgcG9zdGVJqAkAACrEAAACeQABAAAAAQAAVTkvOl8PPPUAAQSwAAAAAAAAAAAAAAAAAAAAAAAA/zgB9AK8AAAAAwACAAAAAAAAAAEAAAPo/zgAAAJYAAAAZAH0AAEAAAAAAAAAAAAAAAAAAAABAAEAAABgAEAAEAAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAwJYAZAABQAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAPz8/PwAAACAAfgPo/zgAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAACWAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAAAMAAAAUAAMAAQAAABQABAAgAAAABAAEAAEAAAB+//8AAAAg////4QABAAAAAAAAACwALABPAHYAvwD4ATsBiQGeAcgB8QIpAkkCXgJrAncCoQLzAx0DTwOIA8AD8wQrBFUEnATWBOcFAgUtBUAFagWWBeEGLQZzBqsG9wchB0oHkAfhCAsIOwiJCLEJEgluCbsJ8gpICpIKvwrnCzkLiAvpDDgMcwyfDMgM8Q0bDT0NSQ1fDYoNyA3pDikOUg58Dr4PAQ8nD1wPnA/FEBkQUxCJEMcRBxEyEVYRgBG7EfMSRhJ+EsUS5xMREzgTYROPAAAABwAAAAAB9AK8AAMABwALAA8AEwAXABsAABMhFSEjMxUjJTMVIzEzFSMjMxUjIzMVIxUzFSNkASz+1GRkZAGQZGRkZGRkZGRkZGRkArxkZGRkZGRkZGQAAAYAyAAAASwCvAADAAcACwAPABMAFwAAEzMVIzEzFSMxMxUjMTMVIzEzFSMVMxUjyGRkZGRkZGRkZGRkZAK8ZGRkZGRkZAAGAGQBkAGQArwAAwAHAAsADwATABcAABMzFSM3MxUjIzMVIzczFSMjMxUjNzMVI2RkZMhkZMhkZMhkZMhkZMhkZAK8ZGRkZGRkZGRkAAAMAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwArAC8AABMzFSM3MxUjIzMVIzczFSMhIRUhMzMVIzczFSMhIRUhMzMVIzczFSMjMxUjNzMVI2RkZMhkZMhkZMhkZP7UAfT+DGRkZMhkZP7UAfT+DGRkZMhkZMhkZMhkZAK8ZGRkZGRkZGRkZGRkZGRkZGQAAAkAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAAEzMVIyMhFSEjMxUjNzMVIyMhFSEzMxUjNzMVIyEhFSEzMxUjyGRkZAGQ/nBkZGTIZGRkASz+1GRkZMhkZP5wAZD+cMhkZAK8ZGRkZGRkZGRkZGQAAAsAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsAABEzFSMlMxUjITMVIyUzFSMjMxUjIzMVIyMzFSMjMxUjJTMVIyEzFSMlMxUjyMgBkGRk/nDIyAGQZGRkZGRkZGRkZGRkZGQBLMjI/tRkZAEsyMgCvGRkZGRkZGRkZGRkZGRkZAAADQAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAKwAvADMAABMzFSMjMxUjJTMVIyEzFSM3MxUjIzMVIyMzFSM3MxUjNzMVIyEzFSMlMxUjIzMVIyUzFSNkyMhkZGQBLGRk/tRkZMhkZGRkZGRkZMhkZMhkZP5wZGQBLGRkyMjIASxkZAK8ZGRkZGRkZGRkZGRkZGRkZGRkZAAAAwDIAZABLAK8AAMABwALAAATMxUjMTMVIzEzFSPIZGRkZGRkArxkZGQABwBkAAABkAK8AAMABwALAA8AEwAXABsAAAEzFSMjMxUjIzMVIzEzFSMxMxUjMzMVIzMzFSMBLGRkZGRkZGRkZGRkZGRkZGRkZAK8ZGRkZGRkZAAABwBkAAABkAK8AAMABwALAA8AEwAXABsAABMzFSMzMxUjMzMVIzEzFSMxMxUjIzMVIyMzFSNkZGRkZGRkZGRkZGRkZGRkZGRkArxkZGRkZGRkAAkAAABkAfQCWAADAAcACwAPABMAFwAbAB8AIwAAEzMVIyMzFSM3MxUjNzMVIyEhFSEjMxUjNzMVIzczFSMjMxUjyGRkyGRkyGRkyGRk/tQBLP7UZGRkyGRkyGRkyGRkAlhkZGRkZGRkZGRkZGRkAAAFAAAAZAH0AlgAAwAHAAsADwATAAATMxUjMTMVIyMhFSEzMxUjMTMVI8hkZGRkyAH0/gzIZGRkZAJYZGRkZGQAAwBk/5wBLADIAAMABwALAAA3MxUjMTMVIyMzFSPIZGRkZGRkZMhkZGQAAQAAASwB9AGQAAMAABEhFSEB9P4MAZBkAAABAMgAAAEsAGQAAwAANzMVI8hkZGRkAAAHAAAAAAH0ArwAAwAHAAsADwATABcAGwAAATMVIzEzFSMjMxUjIzMVIyMzFSMjMxUjMTMVIwGQZGRkZGRkZGRkZGRkZGRkZGRkArxkZGRkZGRkAAANAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwArAC8AMwAAEyEVISMzFSMlMxUjITMVIyUzFSMhMxUjNzMVIzczFSMhMxUjJTMVIyEzFSMlMxUjISEVIWQBLP7UZGRkAZBkZP5wZGQBLMjI/tRkZMhkZMhkZP5wyMgBkGRk/nBkZAGQZGT+1AEs/tQCvGRkZGRkZGRkZGRkZGRkZGRkZGQAAAcAZAAAAZACvAADAAcACwAPABMAFwAbAAATMxUjIzMVIzMzFSMxMxUjMTMVIzEzFSMjIRUhyGRkZMjIZGRkZGRkZGRkZAEs/tQCvGRkZGRkZGQAAAgAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AABMhFSEjMxUjJTMVIzEzFSMjMxUjIzMVIyMzFSMjIRUhZAEs/tRkZGQBkGRkZGRkZGRkZGRkZGRkAfT+DAK8ZGRkZGRkZGRkAAAJAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAABMhFSEjMxUjJTMVIzEzFSMjMxUjMzMVIyEzFSMlMxUjISEVIWQBLP7UZGRkAZBkZGRkyMjIyGRk/nBkZAGQZGT+1AEs/tQCvGRkZGRkZGRkZGRkAAAJAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAAAEzFSMjMxUjIzMVIzczFSMhMxUjJTMVIyEhFSEhMxUjMTMVIwEsZGRkyMhkZGTIZGT+1GRkASxkZP7UAfT+DAEsZGRkZAK8ZGRkZGRkZGRkZGQACAAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAAESEVITEzFSMxIRUhITMVIzEzFSMhMxUjJTMVIyEhFSEB9P4MZGQBkP5wAZBkZGRk/nBkZAGQZGT+1AEs/tQCvGRkZGRkZGRkZAAACQAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjAAATMxUjIzMVIyMzFSMxIRUhMTMVIyUzFSMhMxUjJTMVIyEhFSHIyMhkZGRkZGQBkP5wZGQBkGRk/nBkZAGQZGT+1AEs/tQCvGRkZGRkZGRkZGRkAAcAAAAAAfQCvAADAAcACwAPABMAFwAbAAARIRUhITMVIyMzFSMjMxUjMTMVIyMzFSMxMxUjAfT+DAGQZGRkZGRkZGRkZGRkZGRkArxkZGRkZGRkAAsAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsAABMhFSEjMxUjJTMVIyEzFSMlMxUjISEVISMzFSMlMxUjITMVIyUzFSMhIRUhZAEs/tRkZGQBkGRk/nBkZAGQZGT+1AEs/tRkZGQBkGRk/nBkZAGQZGT+1AEs/tQCvGRkZGRkZGRkZGRkZGRkZAAJAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAABMhFSEjMxUjJTMVIyEzFSMlMxUjISEVISEzFSMjMxUjIzMVI2QBLP7UZGRkAZBkZP5wZGQBkGRk/tQBkP5wASxkZGRkZMjIyAK8ZGRkZGRkZGRkZGQAAAIAyABkASwB9AADAAcAABMzFSMVMxUjyGRkZGQB9GTIZAAEAGT/nAEsAfQAAwAHAAsADwAAEzMVIxUzFSMxMxUjIzMVI8hkZGRkZGRkZGQB9GTIZGRkAAAHAAAAAAGQArwAAwAHAAsADwATABcAGwAAATMVIyMzFSMjMxUjIzMVIzMzFSMzMxUjMzMVIwEsZGRkZGRkZGRkZGRkZGRkZGRkZGQCvGRkZGRkZGQAAAIAAADIAfQB9AADAAcAABEhFSEVIRUhAfT+DAH0/gwB9GRkZAAABwBkAAAB9AK8AAMABwALAA8AEwAXABsAABMzFSMzMxUjMzMVIzMzFSMjMxUjIzMVIyMzFSNkZGRkZGRkZGRkZGRkZGRkZGRkZGQCvGRkZGRkZGQABwAAAAAB9AK8AAMABwALAA8AEwAXABsAABMhFSEjMxUjJTMVIzEzFSMjMxUjIzMVIxUzFSNkASz+1GRkZAGQZGRkZGRkZGRkZGRkArxkZGRkZGRkZGQAAAwAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsALwAAEyEVISMzFSMlMxUjITMVIzchFSEjMxUjNzMVIzczFSMhMxUjNyEVISMzFSMzIRUhZAEs/tRkZGQBkGRk/nBkZMgBLP7UyGRkyGRkyGRk/nBkZMgBLP7UyGRkZAGQ/nACvGRkZGRkZGRkZGRkZGRkZGRkAAwAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsALwAAEyEVISMzFSMlMxUjITMVIyUzFSMhIRUhMTMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjZAEs/tRkZGQBkGRk/nBkZAGQZGT+cAH0/gxkZAGQZGT+cGRkAZBkZP5wZGQBkGRkArxkZGRkZGRkZGRkZGRkZGRkZAAACwAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAKwAAESEVITEzFSMlMxUjITMVIyUzFSMhIRUhMTMVIyUzFSMhMxUjJTMVIyEhFSEBkP5wZGQBkGRk/nBkZAGQZGT+cAGQ/nBkZAGQZGT+cGRkAZBkZP5wAZD+cAK8ZGRkZGRkZGRkZGRkZGRkAAAJAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAABMhFSEjMxUjJTMVIyEzFSMxMxUjMTMVIzEzFSMlMxUjISEVIWQBLP7UZGRkAZBkZP5wZGRkZGRkZGQBkGRk/tQBLP7UArxkZGRkZGRkZGRkZAAADAAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAKwAvAAARIRUhMTMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEhFSEBkP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+cAGQ/nACvGRkZGRkZGRkZGRkZGRkZGRkAAAHAAAAAAH0ArwAAwAHAAsADwATABcAGwAAESEVITEzFSMxMxUjMSEVITEzFSMxMxUjMSEVIQH0/gxkZGRkAZD+cGRkZGQB9P4MArxkZGRkZGRkAAAHAAAAAAH0ArwAAwAHAAsADwATABcAGwAAESEVITEzFSMxMxUjMSEVITEzFSMxMxUjMTMVIwH0/gxkZGRkAZD+cGRkZGRkZAK8ZGRkZGRkZAAACwAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAKwAAEyEVISMzFSMlMxUjITMVIzEzFSM3IRUhIzMVIyUzFSMhMxUjJTMVIyEhFSFkASz+1GRkZAGQZGT+cGRkZGTIASz+1MhkZAGQZGT+cGRkAZBkZP7UAZD+cAK8ZGRkZGRkZGRkZGRkZGRkAAANAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwArAC8AMwAAETMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjISEVITEzFSMlMxUjITMVIyUzFSMhMxUjJTMVI2RkAZBkZP5wZGQBkGRk/nBkZAGQZGT+cAH0/gxkZAGQZGT+cGRkAZBkZP5wZGQBkGRkArxkZGRkZGRkZGRkZGRkZGRkZGRkAAAHAGQAAAGQArwAAwAHAAsADwATABcAGwAAEyEVITMzFSMxMxUjMTMVIzEzFSMxMxUjIyEVIWQBLP7UZGRkZGRkZGRkZGRkASz+1AK8ZGRkZGRkZAAIAAAAAAH0ArwAAwAHAAsADwATABcAGwAfAAATIRUhMzMVIzEzFSMxMxUjMTMVIyEzFSMlMxUjIzMVI8gBLP7UZGRkZGRkZGRk/tRkZAEsZGTIyMgCvGRkZGRkZGRkZAANAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwArAC8AMwAAETMVIyUzFSMhMxUjJTMVIyEzFSM3MxUjIzMVIzEzFSM3MxUjIzMVIyUzFSMhMxUjJTMVI2RkAZBkZP5wZGQBLGRk/tRkZMhkZMjIyGRkyGRkyGRkASxkZP7UZGQBkGRkArxkZGRkZGRkZGRkZGRkZGRkZGRkAAAHAAAAAAH0ArwAAwAHAAsADwATABcAGwAAETMVIzEzFSMxMxUjMTMVIzEzFSMxMxUjMSEVIWRkZGRkZGRkZGRkZAH0/gwCvGRkZGRkZGQAABAAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsALwAzADcAOwA/AAARMxUjJTMVIyEzFSMlMxUjITMVIzczFSM3MxUjITMVIzczFSM3MxUjITMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjZGQBkGRk/nDIyAEsyMj+1GRkyGRkyGRk/nBkZMhkZMhkZP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZAK8ZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZAAADwAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAKwAvADMANwA7AAARMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhMxUjNzMVIzczFSMhMxUjJTMVIyEzFSMlMxUjITMVIyUzFSNkZAGQZGT+cMjIAZBkZP5wyMgBkGRk/nBkZMhkZMhkZP5wZGQBLMjI/tRkZAEsyMj+1GRkAZBkZAK8ZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGQAAAwAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsALwAAEyEVISMzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhIRUhZAEs/tRkZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+1AEs/tQCvGRkZGRkZGRkZGRkZGRkZGRkAAAJAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAABEhFSExMxUjJTMVIyEzFSMlMxUjISEVITEzFSMxMxUjMTMVIwGQ/nBkZAGQZGT+cGRkAZBkZP5wAZD+cGRkZGRkZAK8ZGRkZGRkZGRkZGQAAA4AAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsALwAzADcAABMhFSEjMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhMxUjNzMVIzczFSMhMxUjJTMVIyMzFSMlMxUjZAEs/tRkZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP5wZGTIZGTIZGT+cGRkASxkZMjIyAEsZGQCvGRkZGRkZGRkZGRkZGRkZGRkZGRkZAAMAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwArAC8AABEhFSExMxUjJTMVIyEzFSMlMxUjISEVITEzFSM3MxUjIzMVIyUzFSMhMxUjJTMVIwGQ/nBkZAGQZGT+cGRkAZBkZP5wAZD+cGRkyGRkyGRkASxkZP7UZGQBkGRkArxkZGRkZGRkZGRkZGRkZGRkZAAABwAAAAAB9AK8AAMABwALAA8AEwAXABsAABMhFSEjMxUjMTMVIzMhFSEhMxUjMTMVIyEhFSFkAZD+cGRkZGRkZAEs/tQBLGRkZGT+cAGQ/nACvGRkZGRkZGQABwAAAAAB9AK8AAMABwALAA8AEwAXABsAABEhFSEzMxUjMTMVIzEzFSMxMxUjMTMVIzEzFSMB9P4MyGRkZGRkZGRkZGRkZAK8ZGRkZGRkZAANAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwArAC8AMwAAETMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjISEVIWRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+1AEs/tQCvGRkZGRkZGRkZGRkZGRkZGRkZGQAAA0AAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnACsALwAzAAARMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEzFSM3MxUjIzMVIzczFSMjMxUjZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/tRkZMhkZMhkZMhkZGRkZAK8ZGRkZGRkZGRkZGRkZGRkZGRkZAAAEAAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAKwAvADMANwA7AD8AABEzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEzFSM3MxUjNzMVIyEzFSM3MxUjNzMVIyEzFSMlMxUjITMVIyUzFSNkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/nBkZMhkZMhkZP5wZGTIZGTIZGT+cMjIASzIyP7UZGQBkGRkArxkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkAAANAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwArAC8AMwAAETMVIyUzFSMhMxUjJTMVIyEzFSM3MxUjIzMVIyMzFSM3MxUjITMVIyUzFSMhMxUjJTMVI2RkAZBkZP5wZGQBkGRk/tRkZMhkZGRkZGRkZMhkZP7UZGQBkGRk/nBkZAGQZGQCvGRkZGRkZGRkZGRkZGRkZGRkZGQAAAoAAAAAAfQCvAADAAcACwAPABMAFwAbAB8AIwAnAAARMxUjJTMVIyEzFSMlMxUjITMVIzczFSMjMxUjMTMVIzEzFSMxMxUjZGQBkGRk/nBkZAGQZGT+1GRkyGRkZGRkZGRkZGRkArxkZGRkZGRkZGRkZGRkAAAHAAAAAAH0ArwAAwAHAAsADwATABcAGwAAESEVISEzFSMjMxUjIzMVIyMzFSMjMxUjMSEVIQH0/gwBkGRkZGRkZGRkZGRkZGRkAfT+DAK8ZGRkZGRkZAAABwBkAAABkAK8AAMABwALAA8AEwAXABsAABMhFSExMxUjMTMVIzEzFSMxMxUjMTMVIzEhFSFkASz+1GRkZGRkZGRkZGQBLP7UArxkZGRkZGRkAAcAAAAAAfQCvAADAAcACwAPABMAFwAbAAARMxUjMTMVIzMzFSMzMxUjMzMVIzMzFSMxMxUjZGRkZGRkZGRkZGRkZGRkZGRkArxkZGRkZGRkAAAHAGQAAAGQArwAAwAHAAsADwATABcAGwAAEyEVITMzFSMxMxUjMTMVIzEzFSMxMxUjIyEVIWQBLP7UyGRkZGRkZGRkZGTIASz+1AK8ZGRkZGRkZAAFAAABkAH0ArwAAwAHAAsADwATAAATMxUjIzMVIzczFSMhMxUjJTMVI8hkZGRkZMhkZP7UZGQBkGRkArxkZGRkZGRkAAEAAP+cAfQAAAADAAAxIRUhAfT+DGQAAAMAZAGQAZACvAADAAcACwAAEzMVIzMzFSMzMxUjZGRkZGRkZGRkArxkZGQABgAAAAAB9AH0AAMABwALAA8AEwAXAAATIRUhITMVIyEhFSEjMxUjJTMVIyEhFSFkASz+1AEsZGT+1AGQ/nBkZGQBkGRk/tQBkP5wAfRkZGRkZGRkAAAKAAAAAAH0ArwAAwAHAAsADwATABcAGwAfACMAJwAAETMVIzEzFSMxIRUhMTMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjISEVIWRkZGQBkP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP5wAZD+cAK8ZGRkZGRkZGRkZGRkZAAABQAAAAAB9AH0AAMABwALAA8AEwAAEyEVISMzFSMxMxUjMTMVIzMhFSFkAZD+cGRkZGRkZGRkAZD+cAH0ZGRkZGQACgAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAAAEzFSMxMxUjISEVISMzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEhFSEBkGRkZGT+1AGQ/nBkZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP7UAZD+cAK8ZGRkZGRkZGRkZGRkZAAGAAAAAAH0AfQAAwAHAAsADwATABcAABMhFSEjMxUjJTMVIyEhFSExMxUjMyEVIWQBLP7UZGRkAZBkZP5wAfT+DGRkZAGQ/nAB9GRkZGRkZGQABwAAAAABkAK8AAMABwALAA8AEwAXABsAABMzFSMjMxUjIyEVITMzFSMxMxUjMTMVIzEzFSPIyMhkZGRkAZD+cGRkZGRkZGRkZAK8ZGRkZGRkZAAACgAA/zgB9AH0AAMABwALAA8AEwAXABsAHwAjACcAABMhFSEjMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhIRUhITMVIyEhFSFkAZD+cGRkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/tQBkP5wASxkZP7UASz+1AH0ZGRkZGRkZGRkZGRkZAAACwAAAAAB9AK8AAMABwALAA8AEwAXABsAHwAjACcAKwAAETMVIzEzFSMxIRUhMTMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjITMVIyUzFSNkZGRkAZD+cGRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZAK8ZGRkZGRkZGRkZGRkZGRkAAAGAGQAAAGQArwAAwAHAAsADwATABcAABMzFSMHMxUjMzMVIzEzFSMxMxUjIyEVIchkZGTIyGRkZGRkZGRkASz+1AK8ZGRkZGRkZAAACQAA/zgBkAK8AAMABwALAA8AEwAXABsAHwAjAAABMxUjBzMVIzMzFSMxMxUjMTMVIzEzFSMhMxUjJTMVIyMzFSMBLGRkZMjIZGRkZGRkZGRk/tRkZAEsZGTIyMgCvGRkZGRkZGRkZGRkAAsAAAAAAZACvAADAAcACwAPABMAFwAbAB8AIwAnACsAABEzFSMxMxUjMTMVIyUzFSMhMxUjNzMVIyMzFSMxMxUjNzMVIyMzFSMlMxUjZGRkZGRkASxkZP7UZGTIZGTIyMhkZMhkZMhkZAEsZGQCvGRkZGRkZGRkZGRkZGRkZAAABwBkAAABkAK8AAMABwALAA8AEwAXABsAABMzFSMzMxUjMTMVIzEzFSMxMxUjMTMVIyMhFSFkyMhkZGRkZGRkZGRkZGQBLP7UArxkZGRkZGRkAA4AAAAAAfQB9AADAAcACwAPABMAFwAbAB8AIwAnACsALwAzADcAABEzFSMlMxUjITMVIzczFSM3MxUjITMVIzczFSM3MxUjITMVIzczFSM3MxUjITMVIzczFSM3MxUjyMgBLGRk/tRkZMhkZMhkZP5wZGTIZGTIZGT+cGRkyGRkyGRk/nBkZMhkZMhkZAH0ZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGQAAAkAAAAAAfQB9AADAAcACwAPABMAFwAbAB8AIwAAESEVITEzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjAZD+cGRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZAH0ZGRkZGRkZGRkZGRkZAAACAAAAAAB9AH0AAMABwALAA8AEwAXABsAHwAAEyEVISMzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEhFSFkASz+1GRkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/tQBLP7UAfRkZGRkZGRkZGRkZAAACgAA/zgB9AH0AAMABwALAA8AEwAXABsAHwAjACcAABEhFSExMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhIRUhMTMVIzEzFSMBkP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP5wAZD+cGRkZGQB9GRkZGRkZGRkZGRkZGQAAAoAAP84AfQB9AADAAcACwAPABMAFwAbAB8AIwAnAAATIRUhIzMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjISEVISEzFSMxMxUjZAGQ/nBkZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP7UAZD+cAEsZGRkZAH0ZGRkZGRkZGRkZGRkZAAABwAAAAAB9AH0AAMABwALAA8AEwAXABsAABEzFSM3MxUjIzMVIyUzFSMhMxUjMTMVIzEzFSNkZMjIyMjIyAGQZGT+cGRkZGRkZAH0ZGRkZGRkZGRkAAAFAAAAAAH0AfQAAwAHAAsADwATAAATIRUhIzMVIzMhFSEhMxUjISEVIWQBkP5wZGRkZAEs/tQBLGRk/nABkP5wAfRkZGRkZAAHAAAAAAGQArwAAwAHAAsADwATABcAGwAAEzMVIzEzFSMjIRUhMzMVIzEzFSMxMxUjMzMVI2RkZGRkZAGQ/nBkZGRkZGRkZMjIArxkZGRkZGRkAAAJAAAAAAH0AfQAAwAHAAsADwATABcAGwAfACMAABEzFSMlMxUjITMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjISEVIWRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+cGRkAZBkZP7UAZD+cAH0ZGRkZGRkZGRkZGRkZAAACQAAAAAB9AH0AAMABwALAA8AEwAXABsAHwAjAAARMxUjJTMVIyEzFSMlMxUjITMVIzczFSMjMxUjNzMVIyMzFSNkZAGQZGT+cGRkAZBkZP7UZGTIZGTIZGTIZGRkZGQB9GRkZGRkZGRkZGRkZGQAAA4AAAAAAfQB9AADAAcACwAPABMAFwAbAB8AIwAnACsALwAzADcAABEzFSM3MxUjNzMVIyEzFSM3MxUjNzMVIyEzFSM3MxUjNzMVIyEzFSM3MxUjNzMVIyEzFSM3MxUjZGTIZGTIZGT+cGRkyGRkyGRk/nBkZMhkZMhkZP5wZGTIZGTIZGT+1GRkyGRkAfRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZAAJAAAAAAH0AfQAAwAHAAsADwATABcAGwAfACMAABEzFSMlMxUjITMVIzczFSMjMxUjIzMVIzczFSMhMxUjJTMVI2RkAZBkZP7UZGTIZGRkZGRkZGTIZGT+1GRkAZBkZAH0ZGRkZGRkZGRkZGRkZAAACwAA/zgB9AH0AAMABwALAA8AEwAXABsAHwAjACcAKwAAETMVIyUzFSMhMxUjJTMVIyEzFSMlMxUjITMVIyUzFSMhIRUhITMVIyEhFSFkZAGQZGT+cGRkAZBkZP5wZGQBkGRk/nBkZAGQZGT+1AGQ/nABLGRk/tQBLP7UAfRkZGRkZGRkZGRkZGRkZGQAAAUAAAAAAfQB9AADAAcACwAPABMAABEhFSEhMxUjIzMVIyMzFSMjIRUhAfT+DAEsZGRkZGRkZGRkAfT+DAH0ZGRkZGQABwBkAAAB9AK8AAMABwALAA8AEwAXABsAAAEzFSMjMxUjMTMVIyMzFSMzMxUjMTMVIzMzFSMBLMjIZGRkZGRkZGRkZGRkZGTIyAK8ZGRkZGRkZAAABwDIAAABLAK8AAMABwALAA8AEwAXABsAABMzFSMxMxUjMTMVIzEzFSMxMxUjMTMVIzEzFSPIZGRkZGRkZGRkZGRkZGQCvGRkZGRkZGQABwAAAAABkAK8AAMABwALAA8AEwAXABsAABEzFSMzMxUjMTMVIzMzFSMjMxUjMTMVIyMzFSPIyMhkZGRkZGRkZGRkZGTIyMgCvGRkZGRkZGQAAAcAAADIAfQB9AADAAcACwAPABMAFwAbAAATMxUjJTMVIyEzFSM3MxUjNzMVIyEzFSMlMxUjZGRkASxkZP5wZGTIZGTIZGT+cGRkASxkZAH0ZGRkZGRkZGRkZGQAAAAAAAQANgABAAAAAAABAAcAAAABAAAAAAACAAcABwADAAEECQABAA4ADgADAAEECQACAA4AHEdyaWRNZW1SZWd1bGFyAEcAcgBpAGQATQBlAG0AUgBlAGcAdQBsAGEAcgACAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAGAAAAECAQMBBAEFAQYBBwEIAQkBCgELAQwBDQEOAQ8BEAERARIBEwEUARUBFgEXARgBGQEaARsBHAEdAR4BHwEgASEBIgEjASQBJQEmAScBKAEpASoBKwEsAS0BLgEvATABMQEyATMBNAE1ATYBNwE4ATkBOgE7ATwBPQE+AT8BQAFBAUIBQwFEAUUBRgFHAUgBSQFKAUsBTAFNAU4BTwFQAVEBUgFTAVQBVQFWAVcBWAFZAVoBWwFcAV0BXgFfAWADYzMyA2MzMwNjMzQDYzM1A2MzNgNjMzcDYzM4A2MzOQNjNDADYzQxA2M0MgNjNDMDYzQ0A2M0NQNjNDYDYzQ3A2M0OANjNDkDYzUwA2M1MQNjNTIDYzUzA2M1NANjNTUDYzU2A2M1NwNjNTgDYzU5A2M2MANjNjEDYzYyA2M2MwNjNjQDYzY1A2M2NgNjNjcDYzY4A2M2OQNjNzADYzcxA2M3MgNjNzMDYzc0A2M3NQNjNzYDYzc3A2M3OANjNzkDYzgwA2M4MQNjODIDYzgzA2M4NANjODUDYzg2A2M4NwNjODgDYzg5A2M5MANjOTEDYzkyA2M5MwNjOTQDYzk1A2M5NgNjOTcDYzk4A2M5OQRjMTAwBGMxMDEEYzEwMgRjMTAzBGMxMDQEYzEwNQRjMTA2BGMxMDcEYzEwOARjMTA5BGMxMTAEYzExMQRjMTEyBGMxMTMEYzExNARjMTE1BGMxMTYEYzExNwRjMTE4BGMxMTkEYzEyMARjMTIxBGMxMjIEYzEyMwRjMTI0BGMxMjUEYzEyNgAAAA=="};
(() => {
const bundle = {};

bundle.dom = (() => {
/** Elements of the page. */

/**
 * @template {HTMLElement} T
 * @param {string} selector
 * @param {new () => T} type
 * @param {ParentNode} [inside]
 */
function get(selector, type, inside = document) {
  const found = inside.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * A new element.
 * @param {string} name
 * @param {(Node | string)[]} children
 */
function tag(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

return { get, tag };
})();

bundle.rules = (() => {
/** The rules of `gridmem.Env` for one agent and the task Return. Cells are numbered row by row. */

/** Ids of tiles, in maps and views. */
const Tile = Object.freeze({ FLOOR: 0, WALL: 1, ROCK: 2, GOAL: 3, AGENT: 4 });

/** Actions are 0 up, 1 right, 2 down, 3 left; this one is "none yet", and does nothing. */
const NO_ACTION = 4;

/**
 * @typedef {object} Rules of an id
 * @property {number} side of the square map, its ring of wall included
 * @property {number} viewSize side of the view, odd
 * @property {number} maxSteps
 * @property {number} digSteps steps that are ignored after a rock is dug out; 0 makes rock permanent
 * @property {number} numSpawns of each level
 *
 * @typedef {object} Level all that is random in an episode
 * @property {Uint8Array} tiles the goal is drawn in
 * @property {number[]} spawns the cells where trips begin; more than an episode can need
 *
 * @typedef {object} State
 * @property {Rules} rules
 * @property {number[]} spawns
 * @property {Uint8Array} tiles
 * @property {number} position
 * @property {number} busy steps for which actions are still ignored
 * @property {number} visits finds so far
 * @property {number} lastAction as given, also while digging
 * @property {number} lastReward
 * @property {number} time
 */

/**
 * What each action adds to a cell's number.
 * @param {number} side
 */
const moves = (side) => [-side, 1, side, -1];

/**
 * The state in which an episode begins.
 * @param {Rules} rules
 * @param {Level} level
 * @returns {State}
 */
function start(rules, level) {
  return {
    rules,
    spawns: level.spawns,
    tiles: level.tiles.slice(),
    position: level.spawns[0],
    busy: 0,
    visits: 0,
    lastAction: NO_ACTION,
    lastReward: 0,
    time: 0,
  };
}

/**
 * One step; changes the state.
 * @param {State} state
 * @param {number} action ids other than 0 to 3 do nothing
 */
function step(state, action) {
  const { rules, tiles, position } = state;
  const offset = moves(rules.side)[action] ?? 0;
  const target = position + (state.busy === 0 ? offset : 0);
  const tile = tiles[target];
  const enters = target !== position && (tile === Tile.FLOOR || tile === Tile.GOAL);
  const digs = rules.digSteps > 0 && tile === Tile.ROCK;
  const finds = enters && tile === Tile.GOAL;
  if (enters) state.position = target;
  if (digs) tiles[target] = Tile.FLOOR;
  state.busy = digs ? rules.digSteps : Math.max(state.busy - 1, 0);
  if (finds) state.position = state.spawns[++state.visits];
  state.lastAction = offset ? action : NO_ACTION;
  state.lastReward = finds ? 1 : 0;
  state.time += 1;
}

/** @param {State} state */
const isOver = (state) => state.time >= state.rules.maxSteps;

/**
 * The cells of the square that the agent sees, -1 for those beyond the map.
 * @param {State} state
 */
function viewCells(state) {
  const { side, viewSize } = state.rules;
  const top = Math.floor(state.position / side) - (viewSize - 1) / 2;
  const left = (state.position % side) - (viewSize - 1) / 2;
  return Array.from({ length: viewSize * viewSize }, (_, i) => {
    const row = top + Math.floor(i / viewSize);
    const column = left + (i % viewSize);
    const inside = row >= 0 && row < side && column >= 0 && column < side;
    return inside ? row * side + column : -1;
  });
}

/**
 * What the agent sees: the tiles of its view, itself in the middle.
 * @param {State} state
 */
function view(state) {
  const tiles = viewCells(state).map((cell) => (cell < 0 ? Tile.WALL : state.tiles[cell]));
  tiles[(tiles.length - 1) / 2] = Tile.AGENT;
  return Uint8Array.from(tiles);
}

return { Tile, NO_ACTION, moves, start, step, isOver, viewCells, view };
})();

bundle.files = (() => {
/** Data that comes as classic scripts; see `build.py`. */

/** An error whose message is a sentence for the visitor. */
class Problem extends Error {}

/** @returns {Record<string, any>} what the scripts left */
const data = () => /** @type {any} */ (globalThis).gridmemData;

/**
 * @typedef {import("./rules.js").Rules & { firstLevel: number, hasAgent: boolean }} Id
 * @type {{ ids: Record<string, Id>, sprites: string, font: string }}
 */
const site = data().site;

/** @param {string} base64 */
const bytesOf = (base64) => Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));

/**
 * Reads a file of `data/`.
 * @template T
 * @param {string} name
 * @param {(bytes: Uint8Array) => T} reader throws for a damaged file
 * @returns {Promise<T>}
 * @throws {Problem}
 */
async function read(name, reader) {
  await run(`data/${name}.js`);
  try {
    return reader(bytesOf(data()[name]));
  } catch (cause) {
    throw new Problem(`The file data/${name}.js is damaged; get the folder of this page again.`, {
      cause,
    });
  }
}

/**
 * @param {string} path of a classic script, which is run
 * @returns {Promise<void>}
 */
function run(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => resolve();
    script.onerror = () =>
      reject(new Problem(`The file ${path} is missing; get the folder of this page again.`));
    document.head.append(script);
  });
}

return { Problem, site, bytesOf, read };
})();

bundle.network = (() => {
/** The transformer of `gridmem/baselines/model` with the mixer `attention`, one token at a time. */

/**
 * @typedef {object} Observation
 * @property {Uint8Array} view
 * @property {number} lastAction
 * @property {number} lastReward
 *
 * @typedef {object} Output
 * @property {Float64Array} logits of the four actions
 * @property {number} value
 * @property {Float64Array} attention to each token so far, the mean over layers and heads
 *
 * @typedef {{ keys: Float64Array[], values: Float64Array[] }} Memory of a layer: one entry a token
 */

const NUM_ACTIONS = 4;
const NUM_TILES = 5;

/** A network with the memory of one episode. */
class Network {
  /**
   * @param {import("./safetensors.js").Weights} weights
   * @throws {Error} if it has another mixer
   */
  constructor({ config, tensors }) {
    if (config.model.mixer !== "attention") throw new Error(`the mixer ${config.model.mixer}`);
    this.config = config.model;
    this.tensors = tensors;
    this.forget();
  }

  /** Begins an episode. */
  forget() {
    /** @type {Memory[]} */
    this.memories = Array.from({ length: this.config.num_layers }, () => ({
      keys: [],
      values: [],
    }));
  }

  /**
   * @param {Observation} observation
   * @returns {Output}
   */
  step(observation) {
    const x = this.#embed(observation);
    const time = this.memories[0].keys.length;
    const attention = new Float64Array(time + 1);
    this.memories.forEach((memory, layer) => {
      const name = `blocks.${layer}`;
      add(
        x,
        this.#attend(norm(x, this.tensors[`${name}.mixer_norm.scale`]), memory, name, attention),
      );
      add(x, this.#feedForward(norm(x, this.tensors[`${name}.ff_norm.scale`]), name));
    });
    const features = norm(x, this.tensors["final_norm.scale"]);
    return { logits: this.#logits(features), value: this.#value(features), attention };
  }

  /** @param {Observation} observation */
  #embed({ view, lastAction, lastReward }) {
    const { width } = this.config;
    const x = new Float64Array(width);
    /** @type {(matrix: Float32Array, row: number) => Float32Array} */
    const rowOf = (matrix, row) => matrix.subarray(row * width, (row + 1) * width);
    for (const [cell, tile] of view.entries()) {
      add(x, rowOf(this.tensors.view, cell * NUM_TILES + tile));
    }
    add(x, rowOf(this.tensors.action, lastAction));
    add(
      x,
      this.tensors.reward.map((weight) => weight * lastReward),
    );
    return x;
  }

  /**
   * @param {Float64Array} x
   * @param {Memory} memory takes in this token
   * @param {string} name of the layer
   * @param {Float64Array} attention is added to
   */
  #attend(x, memory, name, attention) {
    const { num_heads, num_kv_heads, head_dim, num_layers } = this.config;
    const time = memory.keys.length;
    const [query, key, value] = ["query", "key", "value"].map((part) =>
      product(x, this.tensors[`${name}.mixer.${part}`]),
    );
    this.#normAndRotate(query, time, this.tensors[`${name}.mixer.query_norm.scale`]);
    this.#normAndRotate(key, time, this.tensors[`${name}.mixer.key_norm.scale`]);
    memory.keys.push(key);
    memory.values.push(value);
    const first = Math.max(0, time + 1 - (this.config.window ?? Number.POSITIVE_INFINITY));
    const attended = new Float64Array(num_heads * head_dim);
    for (let head = 0; head < num_heads; head++) {
      const at = head * head_dim;
      const keyAt = Math.floor((head * num_kv_heads) / num_heads) * head_dim;
      const scores = memory.keys.slice(first).map((key) => {
        let score = 0;
        for (let i = 0; i < head_dim; i++) score += query[at + i] * key[keyAt + i];
        return score / Math.sqrt(head_dim);
      });
      softmax(scores).forEach((weight, slot) => {
        const seen = memory.values[first + slot];
        for (let i = 0; i < head_dim; i++) attended[at + i] += weight * seen[keyAt + i];
        attention[first + slot] += weight / (num_heads * num_layers);
      });
    }
    return product(attended, this.tensors[`${name}.mixer.out`]);
  }

  /**
   * Rotary positions, halves as pairs, after the norm if there is one.
   * @param {Float64Array} heads is changed
   * @param {number} position
   * @param {Float32Array | undefined} scale
   */
  #normAndRotate(heads, position, scale) {
    const { head_dim, rope_base } = this.config;
    const half = head_dim / 2;
    for (let at = 0; at < heads.length; at += head_dim) {
      const head = heads.subarray(at, at + head_dim);
      if (scale) head.set(norm(head, scale));
      for (let i = 0; i < half; i++) {
        const angle = position * rope_base ** (-i / half);
        const [cos, sin, first, second] = [
          Math.cos(angle),
          Math.sin(angle),
          head[i],
          head[i + half],
        ];
        head[i] = first * cos - second * sin;
        head[i + half] = second * cos + first * sin;
      }
    }
  }

  /**
   * @param {Float64Array} x
   * @param {string} name
   */
  #feedForward(x, name) {
    const up = product(x, this.tensors[`${name}.ff.up`]);
    const hidden = product(x, this.tensors[`${name}.ff.gate`]).map((gate, i) => gelu(gate) * up[i]);
    return product(hidden, this.tensors[`${name}.ff.down`]);
  }

  /** @param {Float64Array} features */
  #logits(features) {
    return Float64Array.from({ length: NUM_ACTIONS }, (_, action) =>
      features.reduce(
        (sum, x, i) => sum + x * this.tensors.action[action * features.length + i],
        0,
      ),
    );
  }

  /** @param {Float64Array} features */
  #value(features) {
    const { value_head, value_bins, value_min, value_max } = this.config;
    const bias = this.tensors.value_bias;
    const hidden = product(features, this.tensors.value_in).map((x, i) => gelu(x + bias[i]));
    const outputs = product(hidden, this.tensors.value_out);
    if (value_head === "mse") return outputs[0];
    const binWidth = (value_max - value_min) / value_bins;
    return softmax([...outputs]).reduce(
      (sum, weight, bin) => sum + weight * (value_min + (bin + 0.5) * binWidth),
      0,
    );
  }
}

/**
 * The index of the largest number, the first of several.
 * @param {Float64Array} numbers
 */
const argmax = (numbers) => numbers.indexOf(Math.max(...numbers));

/**
 * The row x times a matrix of as many rows.
 * @param {Float64Array} x
 * @param {Float32Array} matrix
 */
function product(x, matrix) {
  const columns = matrix.length / x.length;
  const y = new Float64Array(columns);
  for (let row = 0, at = 0; row < x.length; row++) {
    const factor = x[row];
    for (let column = 0; column < columns; column++, at++) y[column] += factor * matrix[at];
  }
  return y;
}

/**
 * @param {Float64Array} x is changed
 * @param {Float64Array | Float32Array} y
 */
function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

/**
 * @param {Float64Array} x
 * @param {Float32Array} scale
 */
function norm(x, scale) {
  const meanSquare = x.reduce((sum, each) => sum + each * each, 0) / x.length;
  return x.map((each, i) => (each * scale[i]) / Math.sqrt(meanSquare + 1e-6));
}

/** @param {number} x */
function gelu(x) {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** @param {number[]} scores */
function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

return { Network, argmax };
})();

bundle.safetensors = (() => {
/** Reads the weights of an agent; the format is described in docs/agents.md. */

/**
 * @typedef {object} Weights
 * @property {any} config the configuration of the run
 * @property {Record<string, Float32Array>} tensors
 */

const READERS = { F32: readFloat32, F16: readFloat16 };
const BYTES = { F32: 4, F16: 2 };

/**
 * @param {Uint8Array} bytes
 * @returns {Weights}
 * @throws {Error} if this is no file of an agent, or a damaged one
 */
function readWeights(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begin = 8 + Number(data.getBigUint64(0, true));
  const { __metadata__: metadata, ...header } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, begin)),
  );
  if (metadata?.format !== "gridmem-agent-1") throw new Error("no agent of GridMem");
  /** @type {Record<string, Float32Array>} */
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const [first, end] = data_offsets;
    const type = /** @type {keyof typeof READERS} */ (dtype);
    const length = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    if (!READERS[type] || end - first !== length * BYTES[type]) throw new Error(`bad ${name}`);
    tensors[name] = Float32Array.from({ length }, (_, i) =>
      READERS[type](data, begin + first + i * BYTES[type]),
    );
    if (!tensors[name].every(Number.isFinite)) throw new Error(`${name} is not finite`);
  }
  return { config: JSON.parse(metadata.config), tensors };
}

/**
 * @param {DataView} data
 * @param {number} at
 */
function readFloat32(data, at) {
  return data.getFloat32(at, true);
}

/**
 * @param {DataView} data
 * @param {number} at
 */
function readFloat16(data, at) {
  const bits = data.getUint16(at, true);
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

return { readWeights };
})();

bundle.results = (() => {
/** Your own results, kept in the browser. */

const KEY = "gridmem-results-1";

/**
 * @typedef {object} Result
 * @property {string} date
 * @property {string} id
 * @property {number} level
 * @property {number} attempt 1 for the first time in this cave; later the cave is known
 * @property {boolean} othersHidden whether the agent and the oracle were hidden to the end
 * @property {boolean} mapHidden whether the map was hidden to the end
 * @property {number} maxSteps
 * @property {number} finds
 * @property {number | null} agentFinds
 * @property {number} oracleFinds
 * @property {number[]} trips steps of each find
 */

/** The columns of the exported file. */
const COLUMNS = /** @type {const} */ ([
  ["date", "date"],
  ["id", "id"],
  ["level", "level"],
  ["attempt", "attempt"],
  ["others_hidden", "othersHidden"],
  ["map_hidden", "mapHidden"],
  ["max_steps", "maxSteps"],
  ["finds", "finds"],
  ["agent_finds", "agentFinds"],
  ["oracle_finds", "oracleFinds"],
  ["trips", "trips"],
]);

class Results {
  /** @type {Result[]} */
  rows = [];
  /** @type {Record<string, number>} */
  starts = {}; // episodes begun, by id and level
  problem = ""; // a sentence, if results cannot be read or kept
  #isUnsaved = false; // whether they are here only
  /** @type {string | null} */
  #unreadable = null; // what is stored, if it cannot be read

  constructor() {
    this.#read();
  }

  /**
   * Counts an episode that begins.
   * @param {string} id
   * @param {number} level
   * @returns {number} which attempt it is
   */
  begin(id, level) {
    this.#read();
    const name = `${id} ${level}`;
    this.starts[name] = (this.starts[name] ?? 0) + 1;
    this.#write();
    return this.starts[name];
  }

  /** @param {Result} row */
  add(row) {
    this.#read();
    this.rows.push(row);
    this.#write();
  }

  /** Forgets the results, but not which caves are known. */
  clear() {
    this.#read();
    this.rows = [];
    this.#write();
  }

  /** All results as comma-separated values; the steps of trips are separated by spaces. */
  csv() {
    const lines = this.rows.map((row) =>
      COLUMNS.map(([, key]) => (key === "trips" ? row.trips.join(" ") : row[key])).join(","),
    );
    return `${[COLUMNS.map(([name]) => name).join(","), ...lines].join("\n")}\n`;
  }

  /** What is stored, to which another tab may have added. */
  #read() {
    if (this.#isUnsaved) return;
    let text = null;
    try {
      text = localStorage.getItem(KEY);
      if (text === null) return;
      const { rows, starts } = JSON.parse(text);
      if (!rows.every((/** @type {Result} */ row) => Array.isArray(row.trips))) throw new Error();
      [this.rows, this.starts] = [rows, { ...starts }];
      this.#unreadable = null;
    } catch {
      this.#unreadable = text;
      this.problem = "Earlier results in this browser cannot be read.";
    }
  }

  #write() {
    try {
      if (this.#unreadable !== null) {
        localStorage.setItem(`${KEY}-unreadable-${Date.now()}`, this.#unreadable);
        this.#unreadable = null;
      }
      localStorage.setItem(KEY, JSON.stringify({ rows: this.rows, starts: this.starts }));
      if (this.#isUnsaved) this.problem = "";
      this.#isUnsaved = false;
    } catch {
      this.#isUnsaved = true;
      this.problem = "This browser does not keep results; export them before you leave.";
    }
  }
}

return { Results };
})();

bundle.draw = (() => {
/** Pixel art of caves and views on a canvas, like `gridmem/render`. */

const { Tile } = bundle.rules;

const DOWN = 2;
const [LARGE, SMALL] = [16, 8]; // sides of a tile in the two parts of the picture, one below the other
const ART_ROWS = 5;
const PLAIN = ["#e4dcca", "#343951", "#a07048"]; // grounds that are too small for art
const FOG = "rgb(14 22 58 / 62%)";
const [COLD, HOT] = [
  [250, 150, 170],
  [206, 16, 90],
];
const VARIANTS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3]; // how often each look occurs
const [PIECES, FACINGS] = [3, 5]; // the row of the players and the goal; pictures of each player

/** The column of the goal among the pieces. */
const GOAL_COLUMN = 15;

/**
 * The column of a player among the pieces.
 * @param {number} colour 0, 1 or 2
 * @param {number} facing an action
 */
const playerColumn = (colour, facing = DOWN) => colour * FACINGS + facing;

/**
 * @typedef {object} Scene a square of tiles
 * @property {ArrayLike<number>} tiles
 * @property {number} cell of the player
 * @property {number} colour of the player: 0, 1 or 2
 * @property {number} facing the last action
 * @property {ArrayLike<number | boolean>} [seen] other cells are left empty
 * @property {boolean} [isRevealed] other cells are shown under fog instead
 * @property {boolean} [isVaried] whether floor and rock look different from cell to cell
 * @property {ArrayLike<number> | null} [heat] 0 to 1 for each cell
 * @property {number} [outlined] side of a square around the player that is outlined
 */

/** A canvas with a scene, as large as its parent, also after the size of that has changed. */
class Picture {
  #width = 0; // none as long as the parent is not shown
  /** @type {Scene | null} */
  #scene = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {ImageBitmap} sprites
   */
  constructor(canvas, sprites) {
    this.canvas = canvas;
    this.sprites = sprites;
    // Asking for the width at every step would lay out the page at every step.
    const observer = new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#draw();
    });
    observer.observe(/** @type {Element} */ (canvas.parentElement));
  }

  /** @param {Scene} scene */
  show(scene) {
    this.#scene = scene;
    this.#draw();
  }

  #draw() {
    if (!this.#scene || !this.#width) return;
    const side = Math.sqrt(this.#scene.tiles.length);
    const px = pixelsFor((this.#width * globalThis.devicePixelRatio) / side);
    if (this.canvas.width !== side * px) this.canvas.width = this.canvas.height = side * px;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.clearRect(0, 0, side * px, side * px);
    draw(context, this.sprites, px, this.#scene);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap} sprites
 * @param {number} px side of a tile
 * @param {Scene} scene
 */
function draw(context, sprites, px, scene) {
  const side = Math.sqrt(scene.tiles.length);
  const size = Math.max(px, SMALL); // of pieces, which stay visible on small maps
  const put = stamp(context, sprites, size);
  /** @type {(cell: number, column: number) => void} */
  const putPiece = (cell, column) => {
    const [x, y] = [(cell % side) * px, Math.floor(cell / side) * px];
    put(x - (size - px) / 2, y - (size - px) / 2, PIECES, column);
  };
  const isShown = Array.from(scene.tiles, (_, i) => !scene.seen || Boolean(scene.seen[i]));
  /** @type {(row: number, column: number) => boolean} */
  const isSolid = (row, column) => {
    const cell = clamp(row, side) * side + clamp(column, side); // the edge is continued
    const known = isShown[cell] || scene.isRevealed;
    return known ? scene.tiles[cell] === Tile.WALL || scene.tiles[cell] === Tile.ROCK : false;
  };
  for (let cell = 0; cell < scene.tiles.length; cell++) {
    if (!isShown[cell] && !scene.isRevealed) continue;
    const [row, column] = [Math.floor(cell / side), cell % side];
    const at = /** @type {const} */ ([column * px, row * px]);
    const tile = scene.tiles[cell] > Tile.ROCK ? Tile.FLOOR : scene.tiles[cell];
    const variant = scene.isVaried ? variantAt(row, column) : 0;
    if (px < SMALL) fill(context, ...at, px, PLAIN[tile]);
    else put(...at, tile, groundColumn(tile, row, column, variant, isSolid));
    const heat = scene.heat?.[cell] ?? 0;
    if (heat > 0) fill(context, ...at, px, heatColour(heat));
    if (!isShown[cell]) fill(context, ...at, px, FOG);
  }
  const goal = Array.from(scene.tiles).indexOf(Tile.GOAL);
  if (goal >= 0 && (isShown[goal] || scene.isRevealed)) putPiece(goal, GOAL_COLUMN);
  putPiece(scene.cell, playerColumn(scene.colour, scene.facing));
  if (scene.outlined) outline(context, scene, scene.outlined, px);
}

/**
 * A piece alone.
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap} sprites
 * @param {number} column of the piece
 */
function drawPiece(canvas, sprites, column) {
  canvas.width = canvas.height = 32;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  stamp(context, sprites, 32)(0, 0, PIECES, column);
}

/**
 * The side of a tile in the canvas, a multiple of the art, which the style sheet scales down.
 * @param {number} pixels
 */
function pixelsFor(pixels) {
  if (pixels < SMALL) return Math.max(Math.ceil(pixels), 1);
  const n = artSize(pixels);
  return Math.ceil(pixels / n) * n;
}

/** @param {number} px */
const artSize = (px) => (px >= (LARGE + SMALL) / 2 ? LARGE : SMALL);

/**
 * A function that puts a tile of the art.
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap} sprites
 * @param {number} px
 */
function stamp(context, sprites, px) {
  const n = artSize(px);
  const top = n === LARGE ? 0 : ART_ROWS * LARGE;
  context.imageSmoothingEnabled = false;
  /** @type {(x: number, y: number, row: number, column: number) => void} */
  return (x, y, row, column) =>
    context.drawImage(sprites, column * n, top + row * n, n, n, x, y, px, px);
}

/**
 * The column of a cell's ground in its row of the art, which depends on what is beside it.
 * @param {number} tile
 * @param {number} row
 * @param {number} column
 * @param {number} variant
 * @param {(row: number, column: number) => boolean} isSolid
 */
function groundColumn(tile, row, column, variant, isSolid) {
  const up = isSolid(row - 1, column) ? 1 : 0;
  const right = isSolid(row, column + 1) ? 1 : 0;
  const down = isSolid(row + 1, column) ? 1 : 0;
  const left = isSolid(row, column - 1) ? 1 : 0;
  if (tile === Tile.WALL) return 15 - (up + 2 * right + 4 * down + 8 * left);
  if (tile === Tile.ROCK) return 4 * variant + 3 - (up + 2 * down);
  return 4 * variant + up + 2 * left;
}

/**
 * By a hash of the position.
 * @param {number} row
 * @param {number} column
 */
function variantAt(row, column) {
  const sum = (Math.imul(row, 0x9e3779b1) + Math.imul(column, 0x85ebca77)) >>> 0;
  return VARIANTS[Math.imul(sum ^ (sum >>> 15), 0xc2b2ae3d) >>> 28];
}

/** @param {number} heat */
function heatColour(heat) {
  const [red, green, blue] = COLD.map((cold, i) => cold * (1 - heat) + HOT[i] * heat);
  return `rgb(${red} ${green} ${blue} / ${85 * heat ** 0.75}%)`;
}

/**
 * A frame just outside of a square of cells around the player.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} cells
 * @param {number} px
 */
function outline(context, scene, cells, px) {
  const side = Math.sqrt(scene.tiles.length);
  const line = Math.max(Math.floor(px / 8), 1);
  const left = ((scene.cell % side) - (cells - 1) / 2) * px;
  const top = (Math.floor(scene.cell / side) - (cells - 1) / 2) * px;
  context.lineWidth = line;
  for (const [margin, colour] of /** @type {const} */ ([
    [1.5 * line, "#10121c"],
    [0.5 * line, "#fff"],
  ])) {
    const size = cells * px + 2 * margin;
    context.strokeStyle = colour;
    context.strokeRect(left - margin, top - margin, size, size);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} px
 * @param {string} colour
 */
function fill(context, x, y, px, colour) {
  context.fillStyle = colour;
  context.fillRect(x, y, px, px);
}

/**
 * @param {number} index
 * @param {number} length
 */
const clamp = (index, length) => Math.min(Math.max(index, 0), length - 1);

return { GOAL_COLUMN, playerColumn, Picture, drawPiece };
})();

bundle.levels = (() => {
/** Reads the levels that `build.py` packs. */

const { Tile } = bundle.rules;

/**
 * The levels of an id by number. Each is a number (two bytes), the solid cells inside of the ring as
 * bits, the goal and the spawns (row and column, a byte each).
 * @param {Uint8Array} bytes
 * @param {import("./rules.js").Rules} rules
 * @returns {Map<number, import("./rules.js").Level>}
 * @throws {Error} if the file is damaged
 */
function readLevels(bytes, { side, digSteps, numSpawns }) {
  const inner = side - 2;
  const bitBytes = Math.ceil((inner * inner) / 8);
  const size = 2 + bitBytes + 2 * (1 + numSpawns);
  if (!bytes.length || bytes.length % size) throw new Error(`${bytes.length} bytes`);
  const levels = new Map();
  for (let at = 0; at < bytes.length; at += size) {
    const tiles = new Uint8Array(side * side).fill(Tile.WALL);
    for (let i = 0; i < inner * inner; i++) {
      const solid = (bytes[at + 2 + (i >> 3)] >> (7 - (i & 7))) & 1;
      const cell = (Math.floor(i / inner) + 1) * side + (i % inner) + 1;
      if (!solid) tiles[cell] = Tile.FLOOR;
      else if (digSteps) tiles[cell] = Tile.ROCK;
    }
    const pairs = bytes.subarray(at + 2 + bitBytes, at + size);
    const [goal, ...spawns] = Array.from(
      { length: 1 + numSpawns },
      (_, i) => pairs[2 * i] * side + pairs[2 * i + 1],
    );
    if ([goal, ...spawns].some((cell) => tiles[cell] !== Tile.FLOOR) || spawns.includes(goal)) {
      throw new Error("a goal or a start is no cell of the floor");
    }
    tiles[goal] = Tile.GOAL;
    levels.set(bytes[at] + 256 * bytes[at + 1], { tiles, spawns });
  }
  return levels;
}

return { readLevels };
})();

bundle.oracle = (() => {
/** Shortest paths to the goal, as in `gridmem/envs/analysis`. */

const { moves, NO_ACTION, Tile } = bundle.rules;

/** The distance where there is no path. */
const UNREACHABLE = 2 ** 29;

/**
 * Steps that entering a tile takes.
 * @param {number} tile
 * @param {number} digSteps
 */
function entryCost(tile, digSteps) {
  if (tile === Tile.FLOOR || tile === Tile.GOAL) return 1;
  return tile === Tile.ROCK && digSteps > 0 ? digSteps + 2 : UNREACHABLE;
}

/**
 * Steps from every cell to the goal, by Dijkstra's algorithm with the cells of each distance in a list.
 * @param {Uint8Array} tiles
 * @param {import("./rules.js").Rules} rules
 */
function distances(tiles, rules) {
  const found = new Int32Array(tiles.length).fill(UNREACHABLE);
  const goal = tiles.indexOf(Tile.GOAL);
  const cellsAt = [[goal]]; // by distance
  found[goal] = 0;
  for (let steps = 0; steps < cellsAt.length; steps++) {
    for (const cell of cellsAt[steps] ?? []) {
      if (found[cell] < steps) continue; // reached on a shorter path meanwhile
      const total = steps + entryCost(tiles[cell], rules.digSteps);
      for (const offset of moves(rules.side)) {
        const next = cell + offset;
        if (total >= found[next] || entryCost(tiles[next], rules.digSteps) >= UNREACHABLE) continue;
        found[next] = total;
        cellsAt[total] ??= [];
        cellsAt[total].push(next);
      }
    }
  }
  return found;
}

/**
 * The first move of a shortest path, the lowest id of several; none without a path.
 * @param {import("./rules.js").State} state
 * @param {Int32Array} distance of the tiles at the start of the trip
 */
function oracleAction(state, distance) {
  let [action, least] = [NO_ACTION, UNREACHABLE];
  moves(state.rules.side).forEach((offset, move) => {
    const cell = state.position + offset;
    const steps = entryCost(state.tiles[cell], state.rules.digSteps) + distance[cell];
    if (steps < least) [action, least] = [move, steps];
  });
  return action;
}

return { UNREACHABLE, distances, oracleAction };
})();

bundle.words = (() => {
/** What a screen reader says, and numbers in words. */

const { moves, Tile, viewCells } = bundle.rules;

const DIRECTIONS = ["up", "right", "down", "left"];
const TILES = ["free", "wall", "rock", "goal"];

/**
 * What is beside a player, and where it sees the goal.
 * @param {import("./rules.js").State} state
 */
function surroundings(state) {
  const { side } = state.rules;
  const beside = moves(side).map(
    (offset, move) => `${DIRECTIONS[move]} ${TILES[state.tiles[state.position + offset]]}`,
  );
  const goal = viewCells(state).find((cell) => state.tiles[cell] === Tile.GOAL);
  if (goal === undefined) return `${beside.join(", ")}; no goal in view.`;
  const rows = Math.floor(goal / side) - Math.floor(state.position / side);
  const columns = (goal % side) - (state.position % side);
  const parts = [
    rows && `${Math.abs(rows)} ${rows < 0 ? "up" : "down"}`,
    columns && `${Math.abs(columns)} ${columns < 0 ? "left" : "right"}`,
  ];
  return `${beside.join(", ")}; the goal is ${parts.filter(Boolean).join(" and ")}.`;
}

/**
 * "1 step", "2 steps".
 * @param {number} number
 * @param {string} noun
 */
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/**
 * "0 to 99 and 345".
 * @param {number[]} numbers in ascending order
 */
function ranges(numbers) {
  const starts = numbers.filter((number, i) => number - 1 !== numbers[i - 1]);
  const ends = numbers.filter((number, i) => number + 1 !== numbers[i + 1]);
  return starts
    .map((start, i) => (start < ends[i] ? `${start} to ${ends[i]}` : start))
    .join(" and ");
}

return { surroundings, count, ranges };
})();

bundle.game = (() => {
/** One cave played three times, step by step together: by you, by the agent, and by the oracle. */

const { argmax } = bundle.network;
const { distances, oracleAction } = bundle.oracle;
const { isOver, start, step, view, viewCells } = bundle.rules;

/** An episode, and what its player saw and found. */
class Walk {
  /**
   * @param {import("./rules.js").Rules} rules
   * @param {import("./rules.js").Level} level
   */
  constructor(rules, level) {
    this.state = start(rules, level);
    this.seen = new Uint8Array(level.tiles.length);
    /** @type {number[]} */
    this.cells = []; // where it was at each time
    /** @type {number[]} */
    this.trips = []; // the steps of each find
    this.#look();
  }

  /** The steps since the start of the present trip. */
  get tripSteps() {
    return this.state.time - this.trips.reduce((sum, steps) => sum + steps, 0);
  }

  /** @param {number} action */
  step(action) {
    step(this.state, action);
    if (this.state.lastReward) this.trips.push(this.tripSteps);
    this.#look();
  }

  #look() {
    this.cells.push(this.state.position);
    for (const cell of viewCells(this.state)) if (cell >= 0) this.seen[cell] = 1;
  }
}

class Game {
  /**
   * @param {import("./rules.js").Rules} rules
   * @param {import("./rules.js").Level} level
   * @param {import("./network.js").Network | null} network of the agent, if there is one
   */
  constructor(rules, level, network) {
    this.you = new Walk(rules, level);
    this.oracle = new Walk(rules, level);
    this.agent = network && new Walk(rules, level);
    this.network = network;
    network?.forget();
    this.thought = this.#think();
    this.distance = distances(level.tiles, rules);
  }

  get isOver() {
    return isOver(this.you.state);
  }

  /**
   * One step of all three; nothing after the end.
   * @param {number} action yours
   */
  move(action) {
    if (this.isOver) return;
    this.you.step(action);
    if (this.thought) this.agent?.step(argmax(this.thought.logits));
    this.oracle.step(oracleAction(this.oracle.state, this.distance));
    const { rules, tiles, lastReward } = this.oracle.state;
    if (lastReward && rules.digSteps) this.distance = distances(tiles, rules);
    this.thought = this.#think();
  }

  /** The agent's attention to each cell, 1 where it is largest; null without an agent. */
  heat() {
    if (!this.agent || !this.thought) return null;
    const heat = new Float64Array(this.agent.seen.length);
    this.thought.attention.forEach((weight, time) => {
      heat[/** @type {Walk} */ (this.agent).cells[time]] += weight;
    });
    const largest = Math.max(...heat);
    return heat.map((each) => each / largest);
  }

  /** What the network says about what the agent sees now. */
  #think() {
    if (!this.agent || !this.network) return null;
    const { state } = this.agent;
    return this.network.step({ ...state, view: view(state) });
  }
}

return { Walk, Game };
})();

bundle.card = (() => {
/** The card at the end of an episode, and the table of results. */

const { tag } = bundle.dom;
const { count } = bundle.words;

/**
 * @typedef {object} Row of the card
 * @property {string} name
 * @property {string} colour
 * @property {import("./game.js").Walk} walk
 */

/**
 * @param {HTMLElement} timelines each player's trips along the time of the episode
 * @param {HTMLElement} table the same as numbers
 * @param {Row[]} rows
 */
function fillCard(timelines, table, rows) {
  timelines.replaceChildren(...rows.map(timeline));
  const numTrips = Math.max(...rows.map(({ walk }) => walk.trips.length));
  const numbers = Array.from({ length: numTrips }, (_, trip) => `${trip + 1}`);
  const [first = "", ...later] = numbers;
  const names = ["Player", "Finds", `Steps of trip ${first}`, ...later];
  const head = tag("thead", tag("tr", ...names.map((name) => heading(name, "col"))));
  const lines = rows.map(({ name, walk }) => {
    const steps = numbers.map((_, trip) => `${walk.trips[trip] ?? ""}`);
    return tableRow([`${walk.trips.length}`, ...steps], heading(name, "row"));
  });
  table.replaceChildren(head, tag("tbody", ...lines));
}

/**
 * @param {HTMLElement} body of the table
 * @param {import("./results.js").Result[]} results
 */
function fillResults(body, results) {
  const lines = results.map((result) =>
    tableRow([
      new Date(result.date).toLocaleString(),
      result.id,
      `${result.level}`,
      `${result.attempt}`,
      `${result.finds}`,
      `${result.agentFinds ?? ""}`,
      `${result.oracleFinds}`,
      [result.othersHidden && "others", result.mapHidden && "map"].filter(Boolean).join(", "),
      result.trips.join(" "),
    ]),
  );
  body.replaceChildren(...lines.reverse());
}

/** @param {Row} row */
function timeline({ name, colour, walk }) {
  const bar = tag("div", ...walk.trips.map((steps) => segment(steps, `${steps}`)));
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true"); // the table has the numbers
  const rest = segment(walk.tripSteps, "");
  rest.className = "unfinished";
  if (walk.tripSteps) bar.append(rest);
  const line = tag("div", tag("span", name), bar);
  line.className = "timeline";
  line.style.setProperty("--colour", colour);
  return line;
}

/**
 * @param {number} steps
 * @param {string} text
 */
function segment(steps, text) {
  const element = tag("span", text);
  element.style.flex = `${steps} 0 0`;
  element.title = count(steps, "step");
  return element;
}

/**
 * @param {string[]} cells
 * @param {HTMLElement[]} headings before the cells
 */
function tableRow(cells, ...headings) {
  return tag("tr", ...headings, ...cells.map((cell) => tag("td", cell)));
}

/**
 * @param {string} text
 * @param {"col" | "row"} scope
 */
function heading(text, scope) {
  const element = tag("th", text);
  element.setAttribute("scope", scope);
  return element;
}

return { fillCard, fillResults };
})();

bundle.panel = (() => {
/** One of the three players on the page. */

const { get, tag } = bundle.dom;
const { drawPiece, Picture, playerColumn } = bundle.draw;
const { view, viewCells } = bundle.rules;
const { count, surroundings } = bundle.words;

/**
 * @typedef {object} Player
 * @property {string} key id of its part of the page, and name of its colour
 * @property {string} name
 * @property {string} tab name in short
 * @property {string} about
 * @property {string} view what its view shows
 * @property {string} map what its map shows
 * @property {(game: import("./game.js").Game) => import("./game.js").Walk | null} walkIn
 *
 * @typedef {object} Look
 * @property {boolean} isCovered nothing is shown
 * @property {boolean} hasMap
 * @property {boolean} isRevealed the map shows the whole cave
 * @property {ArrayLike<number> | null} heat
 * @property {Record<string, string>} further numbers
 */

class Panel {
  /**
   * @param {Player} player
   * @param {number} colour
   * @param {ImageBitmap} sprites
   */
  constructor(player, colour, sprites) {
    const copy = document.importNode(get("#player", HTMLTemplateElement).content, true);
    this.section = get(".player", HTMLElement, copy);
    this.section.id = player.key;
    this.section.setAttribute("aria-label", player.name);
    this.section.style.setProperty("--colour", `var(--${player.key})`);
    this.tab = document.createElement("button");
    this.tab.type = "button";
    this.player = player;
    this.colour = colour;
    this.view = new Picture(get(".view", HTMLCanvasElement, copy), sprites);
    this.map = new Picture(get(".map", HTMLCanvasElement, copy), sprites);
    get(".name", HTMLElement, copy).textContent = player.name;
    get(".about", HTMLElement, copy).textContent = player.about;
    get(".view-caption", HTMLElement, copy).textContent = player.view;
    get(".map-caption", HTMLElement, copy).textContent = player.map;
    drawPiece(get(".portrait", HTMLCanvasElement, copy), sprites, playerColumn(colour));
    get("#players", HTMLElement).append(copy);
    get("#tabs", HTMLElement).append(this.tab);
  }

  /** @param {boolean} isCurrent whether it is the one that a narrow page shows */
  select(isCurrent) {
    this.section.classList.toggle("current", isCurrent);
    this.tab.setAttribute("aria-pressed", `${isCurrent}`);
  }

  /**
   * @param {import("./game.js").Walk} walk
   * @param {Look} look
   */
  show(walk, { isCovered, hasMap, isRevealed, heat, further }) {
    const { state, trips } = walk;
    this.tab.textContent = isCovered ? this.player.tab : `${this.player.tab} ${trips.length}`;
    this.section.classList.toggle("covered", isCovered);
    this.section.classList.toggle("found", !isCovered && state.lastReward > 0);
    if (isCovered) return;
    const numbers = {
      finds: trips.length,
      "steps of this trip": walk.tripSteps,
      ...further,
    };
    get(".numbers", HTMLElement, this.section).replaceChildren(
      ...Object.entries(numbers).map(([name, number]) =>
        tag("div", tag("dt", name), tag("dd", `${number}`)),
      ),
    );
    const scene = { colour: this.colour, facing: state.lastAction };
    const tiles = view(state);
    this.view.canvas.setAttribute("aria-label", `View: ${surroundings(state)}`);
    this.view.show({
      ...scene,
      tiles,
      cell: (tiles.length - 1) / 2,
      heat: heat && viewCells(state).map((cell) => heat[cell] ?? 0),
    });
    /** @type {HTMLElement} */ (this.map.canvas.parentElement).hidden = !hasMap;
    const numSeen = walk.seen.reduce((sum, seen) => sum + seen, 0);
    this.map.canvas.setAttribute("aria-label", `Map: ${count(numSeen, "cell")} seen`);
    this.map.show({
      ...scene,
      tiles: state.tiles,
      cell: state.position,
      seen: walk.seen,
      isRevealed,
      isVaried: true,
      outlined: state.rules.viewSize,
      heat,
    });
  }
}

return { Panel };
})();

bundle.page = (() => {
/** A cave on the page: keys, taps and buttons, and what is shown. */

const { fillCard, fillResults } = bundle.card;
const { get } = bundle.dom;
const { Panel } = bundle.panel;
const { Results } = bundle.results;
const { count, surroundings } = bundle.words;

/**
 * By the place of a key, the same on all layouts.
 * @type {Record<string, number>}
 */
const ACTION_OF_KEY = {
  ...{ ArrowUp: 0, ArrowRight: 1, ArrowDown: 2, ArrowLeft: 3 },
  ...{ KeyW: 0, KeyD: 1, KeyS: 2, KeyA: 3 },
};
/**
 * @typedef {import("./panel.js").Player} Player
 * @typedef {import("./game.js").Walk} Walk
 */
/** @type {Player} */
const YOU = {
  key: "you",
  name: "You",
  tab: "You",
  about: "Go and find the goal.",
  view: "what you see",
  map: "what you have seen",
  walkIn: (game) => game.you,
};
/** @type {Player} */
const AGENT = {
  key: "agent",
  name: "Trained agent",
  tab: "Agent",
  about: "Sees only its view.",
  view: "what it sees",
  map: "red: past steps it attends to",
  walkIn: (game) => game.agent,
};
/** @type {Player} */
const ORACLE = {
  key: "oracle",
  name: "Oracle",
  tab: "Oracle",
  about: "Knows the whole cave.",
  view: "what it sees",
  map: "what it has seen",
  walkIn: (game) => game.oracle,
};
const PLAYERS = [YOU, AGENT, ORACLE]; // in the order of their colours

class Page {
  #hideOthers = get("#hide-others", HTMLInputElement);
  #hideMap = get("#hide-map", HTMLInputElement);
  #results = new Results();
  #shown = YOU;
  #attempt = 0; // counted from the first move on
  // Whether they were hidden all the time.
  #othersHidden = false;
  #mapHidden = false;

  /**
   * @param {string} id
   * @param {number} level
   * @param {() => import("./game.js").Game} newGame
   * @param {ImageBitmap} sprites
   */
  constructor(id, level, newGame, sprites) {
    this.id = id;
    this.level = level;
    this.newGame = newGame;
    this.game = newGame();
    const players = PLAYERS.filter((player) => player.walkIn(this.game));
    this.panels = players.map((player) => {
      const panel = new Panel(player, PLAYERS.indexOf(player), sprites);
      panel.tab.onclick = () => this.#choose(player);
      return panel;
    });
    const others = this.game.agent ? "agent and oracle" : "the oracle";
    get("#hide-others-text", HTMLElement).textContent = `Hide ${others} until I am done`;
    get("#game", HTMLElement).hidden = false;
    this.#listen();
    this.#choose(YOU);
    this.#say("");
    this.#showResults();
  }

  /** The episode from its start. */
  restart() {
    this.game = this.newGame();
    this.#attempt = 0;
    this.#show();
    this.#say("");
  }

  /** @param {number} action */
  move(action) {
    const { you } = this.game;
    if (this.game.isOver) return;
    if (!this.#attempt) this.#attempt = this.#results.begin(this.id, this.level);
    const { position: before, busy: wasBusy } = you.state;
    this.game.move(action);
    if (this.game.isOver) this.#keepResult();
    this.#show();
    const { lastReward, busy, position } = you.state;
    const steps = count(you.trips.at(-1) ?? 0, "step");
    if (lastReward) this.#say(`Found in ${steps}! You are elsewhere in the same cave.`);
    else if (busy) this.#say(`Digging for ${count(busy, "more step")}.`);
    else if (wasBusy) this.#say("The rock is gone.");
    else this.#say(position === before ? "That way is blocked." : "");
    if (this.game.isOver) get("#card-title", HTMLElement).focus();
  }

  #listen() {
    document.addEventListener("keydown", (event) => this.#press(event));
    for (const button of document.querySelectorAll("#pad button")) {
      const action = Number(button.getAttribute("data-action"));
      button.addEventListener("click", () => this.move(action));
    }
    get("#you .view", HTMLElement).onclick = (event) => {
      const { width, height } = /** @type {Element} */ (event.target).getBoundingClientRect();
      const [right, down] = [event.offsetX - width / 2, event.offsetY - height / 2];
      const cell = width / this.game.you.state.rules.viewSize;
      if (Math.max(Math.abs(right), Math.abs(down)) < cell / 2) return; // a tap on yourself
      if (Math.abs(right) > Math.abs(down)) this.move(right > 0 ? 1 : 3);
      else this.move(down > 0 ? 2 : 0);
    };
    get("#again", HTMLElement).onclick = () => this.restart();
    this.#hideOthers.onchange = this.#hideMap.onchange = () => this.#show();
    get("#clear", HTMLElement).onclick = () => {
      if (!confirm("Delete all results that this browser keeps? This cannot be undone.")) return;
      this.#results.clear();
      this.#showResults();
    };
    get("#export", HTMLElement).onclick = () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([this.#results.csv()], { type: "text/csv" }));
      link.download = "gridmem-results.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a download may begin later
    };
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLSelectElement) return; // the keys choose an option
    const action = ACTION_OF_KEY[event.code];
    // The letter that is typed; of other alphabets, that of the key's place.
    const letter = /^[a-z]$/i.test(event.key) ? event.key.toUpperCase() : event.code.slice(-1);
    if (action !== undefined && !this.game.isOver) {
      event.preventDefault(); // of arrows: scrolling
      this.move(action);
    } else if (letter === "R") this.restart();
    else if (letter === "N") get("#next", HTMLAnchorElement).click();
  }

  /** @param {Player} player whom a narrow page shows */
  #choose(player) {
    this.#shown = player;
    this.#show();
  }

  #keepResult() {
    const { you, agent, oracle } = this.game;
    this.#results.add({
      date: new Date().toISOString(),
      id: this.id,
      level: this.level,
      attempt: this.#attempt,
      othersHidden: this.#othersHidden,
      mapHidden: this.#mapHidden,
      maxSteps: you.state.rules.maxSteps,
      finds: you.trips.length,
      agentFinds: agent?.trips.length ?? null,
      oracleFinds: oracle.trips.length,
      trips: you.trips,
    });
    this.#showResults();
  }

  #show() {
    const { game, panels } = this;
    const { time, rules } = game.you.state;
    if (!game.isOver) {
      // Before the first step there is nothing to learn from the others.
      this.#othersHidden = (time === 0 || this.#othersHidden) && this.#hideOthers.checked;
      this.#mapHidden = (time === 0 || this.#mapHidden) && this.#hideMap.checked;
    }
    for (const panel of panels) {
      const { player } = panel;
      const isYou = player === YOU;
      panel.select(player === this.#shown);
      panel.show(/** @type {Walk} */ (player.walkIn(game)), {
        isCovered: !isYou && this.#hideOthers.checked && !game.isOver,
        hasMap: !isYou || !this.#hideMap.checked || game.isOver,
        isRevealed: game.isOver,
        heat: player === AGENT ? game.heat() : null,
        further: player === AGENT ? { value: game.thought?.value.toFixed(2) ?? "" } : {},
      });
    }
    const progress = get("#progress", HTMLProgressElement);
    [progress.max, progress.value] = [rules.maxSteps, time];
    get("#steps", HTMLElement).textContent = `step ${time} of ${rules.maxSteps}`;
    get("#card", HTMLElement).hidden = !game.isOver;
    get("#pad", HTMLElement).hidden = game.isOver;
    if (game.isOver) this.#showCard();
  }

  #showResults() {
    get("#results", HTMLElement).hidden = this.#results.rows.length === 0;
    fillResults(get("#rows", HTMLElement), this.#results.rows);
  }

  #showCard() {
    const rows = this.panels.map(({ player }) => ({
      name: player.tab,
      colour: `var(--${player.key})`,
      walk: /** @type {Walk} */ (player.walkIn(this.game)),
    }));
    const [yours, ...others] = rows.map(({ name, walk }) => [
      name.toLowerCase(),
      walk.trips.length,
    ]);
    get("#card-title", HTMLElement).textContent =
      `You found the goal ${count(Number(yours[1]), "time")}, ` +
      `${others.map(([name, finds]) => `the ${name} ${finds}`).join(", ")}.`;
    fillCard(get("#timelines", HTMLElement), get("#trips", HTMLElement), rows);
  }

  /** @param {string} text for all; what is around you is added for screen readers */
  #say(text) {
    const { you, isOver } = this.game;
    const message = isOver ? "The episode is over." : text;
    get("#message", HTMLElement).textContent = message || this.#results.problem;
    get("#spoken", HTMLElement).textContent = `${message} ${surroundings(you.state)}`;
  }
}

return { Page };
})();

bundle.main = (() => {
/** Reads what the address of the page asks for, and begins. */

const { get } = bundle.dom;
const { drawPiece, GOAL_COLUMN } = bundle.draw;
const { bytesOf, Problem, read, site } = bundle.files;
const { Game } = bundle.game;
const { readLevels } = bundle.levels;
const { argmax, Network } = bundle.network;
const { distances, oracleAction } = bundle.oracle;
const { Page } = bundle.page;
const { start, step, view } = bundle.rules;
const { readWeights } = bundle.safetensors;
const { ranges } = bundle.words;

const DEFAULT_ID = "GridMem-13x13-v0";
const HIDEABLE = ["others", "map"];

/** @throws {Problem} */
async function main() {
  const sprites = await createImageBitmap(new Blob([bytesOf(site.sprites)]));
  drawPiece(get("#goal", HTMLCanvasElement), sprites, GOAL_COLUMN);
  const parameters = new URLSearchParams(location.search);
  const hidden = (parameters.get("hide") ?? "").split(" ").filter(Boolean);
  for (const name of HIDEABLE) checkbox(name).checked = hidden.includes(name);
  const id = parameters.get("id") ?? DEFAULT_ID;
  offer("#id", Object.keys(site.ids), id, (chosen) => address(chosen));
  if (!Object.keys(site.ids).includes(id)) {
    throw new Problem(`There is no environment “${id}”; choose one from the list.`);
  }
  const rules = site.ids[id];
  const levels = await read(`${id}-levels`, (bytes) => readLevels(bytes, rules));
  const numbers = [...levels.keys()];
  const text = parameters.get("level") ?? `${rules.firstLevel}`;
  offer("#level", numbers.map(String), text, (chosen) => address(id, chosen));
  const position = numbers.map(String).indexOf(text);
  const level = levels.get(numbers[position]);
  if (!level) {
    throw new Problem(`There is no level “${text}” here; choose one of ${ranges(numbers)}.`);
  }
  const unknown = hidden.find((name) => !HIDEABLE.includes(name));
  if (unknown) {
    throw new Problem(`There is no “${unknown}” to hide; choose others, map or others+map.`);
  }
  const network = rules.hasAgent
    ? await read(`${id}-agent`, (bytes) => new Network(readWeights(bytes)))
    : null;
  if (rules.digSteps) {
    get("#digging", HTMLElement).textContent =
      `Walk into brown rock to dig it away, which takes ${1 + rules.digSteps} steps.`;
  }
  new Page(id, numbers[position], () => new Game(rules, level, network), sprites);
  const next = get("#next", HTMLAnchorElement);
  const refresh = () => {
    next.href = address(id, `${numbers[(position + 1) % numbers.length]}`);
  };
  for (const name of HIDEABLE) checkbox(name).addEventListener("change", refresh);
  refresh();
  // The next frame has the pictures; the one after it begins when they are there to be seen.
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("first picture")));
}

/** @param {string} name of what a checkbox hides */
const checkbox = (name) => get(`#hide-${name}`, HTMLInputElement);

/**
 * The address of a cave, with what is hidden now.
 * @param {string} id
 * @param {string} [level] by default the first that the page shows of an id
 */
function address(id, level) {
  const hide = HIDEABLE.filter((name) => checkbox(name).checked).join(" ");
  return `?${new URLSearchParams({ id, ...(level && { level }), ...(hide && { hide }) })}`;
}

/**
 * Fills a list, from which a choice leads to another address.
 * @param {string} selector
 * @param {string[]} options
 * @param {string} current
 * @param {(chosen: string) => string} addressOf
 */
function offer(selector, options, current, addressOf) {
  const select = get(selector, HTMLSelectElement);
  select.replaceChildren(...options.map((text) => new Option(text)));
  select.value = current; // nothing, if it is no option
  select.onchange = () => location.assign(addressOf(select.value));
}

/** @param {unknown} error */
function explain(error) {
  const known = error instanceof Problem;
  const problem = get("#problem", HTMLElement);
  problem.textContent = known ? error.message : `The page does not work here: ${error}.`;
  problem.hidden = false;
}

document.fonts.add(new FontFace("GridMem", bytesOf(site.font)));
main().catch(explain);

// For tests, and for the console of a browser.
Object.assign(globalThis, {
  gridmem: {
    ...{ start, step, view, distances, oracleAction, argmax, Network, Game },
    ...{ readLevels, readWeights },
  },
});

return {  };
})();
})();
